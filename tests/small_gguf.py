"""What every small GGUF model in tests says of its shape, and how its file is closed."""

from __future__ import annotations

import gguf


def add_shape(
    writer: gguf.GGUFWriter, *, rows: int, width: int, inner: int, positions: int,
    layers: int = 1, heads: int = 1, key_value_heads: int = 1,
) -> None:  # fmt: skip
    size = width // heads
    writer.add_context_length(positions)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(rows)


def close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
