"""One file a box of the paper's figure, its config beside it."""

import os

# Keeps bfloat16 on a CPU repeatable: with AMX two runs of one seed differ from the first step on as soon as there are
# two threads, and oneDNN 3.12, which torch 2.14 has, lists wrong results of these kernels (pytorch/pytorch 169688,
# uxlfoundation/oneDNN 5393 and 5717). oneDNN reads this at its first operation; float32 arithmetic does not use AMX.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
