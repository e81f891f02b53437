"""Saves TorchScript without the folders of the machine that made it."""

import re
import site
import sys
import tempfile
import zipfile
from pathlib import Path

ALIGNMENT = 64  # PyTorch starts stored records at multiples of this


def blank_folders(data):
    """`data` with the folders of all loaded modules blanked at the same length, so that length prefixes stay right."""
    files = (getattr(module, "__file__", None) for module in sys.modules.values())
    folders = {str(Path(file).parent) for file in files if file and Path(file).is_absolute()}
    for folder in sorted({*site.getsitepackages(), *folders}, key=len, reverse=True):
        data = data.replace(folder.encode(), re.sub("[^/]", "_", folder).encode())
    return data


def write_torchscript(script, path):
    """As script.save(), but source paths in the debug records have every folder name blanked, at the same length."""
    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch) / Path(path).name  # its name becomes the archive's top folder
        script.save(str(original))
        with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w") as target:
            for entry in source.infolist():
                data = source.read(entry)
                if entry.filename.endswith(".debug_pkl"):
                    data = blank_folders(data)
                copy = zipfile.ZipInfo(entry.filename)
                copy.compress_type = entry.compress_type
                if copy.compress_type == zipfile.ZIP_STORED:
                    start = target.fp.tell() + 30 + len(copy.filename) + 4
                    padding = -start % ALIGNMENT
                    copy.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
                target.writestr(copy, data)
