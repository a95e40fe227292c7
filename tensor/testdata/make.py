"""Writes the safetensors files of this folder; see README.md."""
import numpy as np
from safetensors.numpy import save_file

tensors = {
    'a "quoted"\\name\n': np.array(-0.0, dtype=np.float32).reshape(()),
    "dense1.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4 - 0.5,
    "größe/é": np.array([1e-45, 3.4028235e38, -1.5], dtype=np.float32),
}
save_file(tensors, "python.safetensors")
save_file(tensors, "python-metadata.safetensors", {"framework": "np", "note": "ignored"})
save_file({"half": np.array([1, 2], dtype=np.float16)}, "python-float16.safetensors")
