#pragma once
// Datasets as Weights. Private to the h5_*.cc files.
// Source: HDF5 File Format Specification 3.0, IV.A.2.i (layout), .l (filters), III.A.1 (chunk trees).
#include <memory>
#include <mutex>
#include <string_view>

#include "checkpoint/h5_bytes.h"
#include "checkpoint/h5_types.h"

namespace ferry::checkpoint {

/// The Weight of the object with these messages. Contiguous data stays where it lies; chunks are decoded as
/// they are read, one band of rows at a time, shared by the file's datasets.
/// Errors: Error{invalid_file}; Error{unsupported} for data in other files, virtual datasets, unknown filters
/// and element types.
Weight read_h5_dataset(const std::shared_ptr<const H5Bytes>& bytes, const std::vector<H5Message>& messages,
                       std::string_view path);

/// A chunk's place in the file.
struct H5Chunk {
  uint64_t address = 0;
  uint64_t size = 0;     ///< Bytes in the file.
  uint32_t skipped = 0;  ///< A bit for each filter of the pipeline that was not applied.
};

/// Undoes the filters of a chunk. `filters` are numbers of HDF5's own: 1 deflate, 2 shuffle, 3 fletcher32, in
/// the order in which they were applied. Errors: std::string as the reason if the result is not exactly
/// `size` bytes.
std::string decode_h5_chunk(std::string_view stored, const std::vector<uint16_t>& filters, uint32_t skipped,
                            size_t element, uint64_t size, std::vector<std::byte>& out);

}  // namespace ferry::checkpoint
