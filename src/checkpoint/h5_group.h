#pragma once
// The members of a group. Private to the h5_*.cc files.
// Source: HDF5 File Format Specification 3.0, III.A to III.G and IV.A.2.
#include <functional>
#include <map>
#include <string_view>

#include "checkpoint/h5_bytes.h"

namespace ferry::checkpoint {

struct H5Link {
  enum class Kind : uint8_t { hard, soft, external };
  Kind kind = Kind::hard;
  uint64_t address = 0;  ///< hard: of the object header.
};

/// Names are bytes of the file.
using H5Group = std::map<std::string_view, H5Link>;

/// The links of the object with these messages; none if it is no group.
H5Group read_h5_group(const H5Bytes& bytes, const std::vector<H5Message>& messages);

/// Calls `object` with every object of a fractal heap that the B-tree (version 2) at `index` lists: how links
/// and attributes are stored where there are more than eight. `id_at` is where a record holds the heap id.
void walk_h5_dense(const H5Bytes& bytes, uint64_t heap, uint64_t index, size_t id_at,
                   const std::function<void(std::string_view)>& object);

}  // namespace ferry::checkpoint
