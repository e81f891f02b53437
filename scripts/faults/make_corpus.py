"""Writes a corpus of model pairs with planted faults, and of harmless pairs, with the truth of each.

    python scripts/faults/make_corpus.py --out FOLDER [--architectures N] [--faults N]

The folder must not exist: it is written under another name and renamed when complete. Needs torch, onnx, onnxruntime,
tensorflow and tf2onnx (scripts/fixtures/setup.sh installs them). Same seed, same pairs.
"""

import argparse
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
warnings.filterwarnings("ignore")
sys.dont_write_bytecode = True

import torch

from architectures import ARCHITECTURES
from corpus import Corpus

torch.set_num_threads(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder to write, which must not exist")
    parser.add_argument("--architectures", default=str(len(ARCHITECTURES)), help="how many, or their names with commas")
    parser.add_argument(
        "--faults", type=int, default=10, help="classes of faults per architecture; each in four variants"
    )
    options = parser.parse_args()
    out = Path(options.out)
    if out.exists():
        parser.error(f"{out} exists; name another folder or remove it")
    wanted = options.architectures.split(",")
    chosen = ARCHITECTURES[: int(wanted[0])] if wanted[0].isdigit() else [a for a in ARCHITECTURES if a.id in wanted]
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    left_out = []
    corpus = Corpus(part, left_out.append)
    for architecture in chosen:
        start, before = time.monotonic(), len(corpus.index)
        corpus.add_architecture(architecture, options.faults)
        print(f"{architecture.id}: {len(corpus.index) - before} pairs, {time.monotonic() - start:.0f} s", flush=True)
    corpus.close()
    (part / "left-out.txt").write_text("\n".join(left_out) + "\n")
    part.rename(out)
    print(f"{len(corpus.index)} pairs in {out}; {len(left_out)} could not be made, see left-out.txt")


if __name__ == "__main__":
    main()
