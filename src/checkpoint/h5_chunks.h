#pragma once
// Data that is stored in chunks. Private to the h5_*.cc files.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/h5_bytes.h"
#include "checkpoint/h5_dataset.h"

namespace ferry::checkpoint {

struct H5ChunkedData {
  std::string path;               ///< For messages.
  Dims dims;                      ///< Of the dataset.
  uint64_t element = 0;           ///< Bytes.
  std::vector<uint16_t> filters;  ///< As decode_h5_chunk.
  Dims chunk;                     ///< Dimensions of a chunk.
  uint64_t chunk_bytes = 0;       ///< Of a decoded chunk.
  std::vector<H5Chunk> chunks;    ///< Row-major over the grid of chunks; all of them are there.
};

/// Reads the rest of a chunked layout message and its index of chunks.
/// Errors: Error{invalid_file} if the chunks cannot hold the dataset; Error{unsupported} for indexes that
/// only growing datasets have.
void read_h5_chunks(const H5Bytes& bytes, ByteReader& layout, uint8_t version, H5ChunkedData& data);

/// The Weight that decodes them as it is read.
Weight chunked_h5_weight(const std::shared_ptr<const H5Bytes>& bytes, DType dtype, H5ChunkedData data);

}  // namespace ferry::checkpoint
