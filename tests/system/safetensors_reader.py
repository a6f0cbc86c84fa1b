"""An independent reader of safetensors files, written from the format's description
(https://github.com/huggingface/safetensors): u64 length of the header, the header as JSON, the tensors' bytes."""

import json
import math
import struct

WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def read_safetensors(path):
    """Returns ({name: (dtype, shape, bytes)} in the order of the bytes, metadata); ValueError where the format is broken."""
    def require(holds, what):
        if not holds:
            raise ValueError(f"{path}: {what}")

    content = path.read_bytes()
    length, = struct.unpack_from("<Q", content)
    begin = 8 + length
    require(begin <= len(content) and begin % 8 == 0, f"a header of {length} bytes")
    require(content[8:9] == b"{", "the header does not begin with {")
    header = json.loads(content[8:begin])
    metadata = header.pop("__metadata__", {})
    require(all(isinstance(value, str) for value in metadata.values()), "metadata that is no text")
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        require(first == end, f"{name} begins at {first}, the tensor before ends at {end}")
        require(last - first == math.prod(entry["shape"]) * WIDTHS[entry["dtype"]], f"{name} has {last - first} bytes")
        tensors[name] = (entry["dtype"], entry["shape"], content[begin + first:begin + last])
        end = last
    require(begin + end == len(content), "the tensors do not end with the file")
    return tensors, metadata
