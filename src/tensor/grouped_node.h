#pragma once
// How the integers behind a grouped_matrix are read. Private to grouped*.cc.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/grouped.h"
#include "tensor/weight_node.h"

namespace ferry::weights {

/// Columns that are unpacked together: their words share cache lines.
inline constexpr uint64_t kColumnTile = 32;

// Integers and their groups; rows are counted as a layer's inputs, columns as its outputs.
class Grouped {
 public:
  Grouped(const GroupedTensors& tensors, const GroupedFormat& format);

  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t columns() const { return columns_; }
  [[nodiscard]] int64_t groups() const { return groups_; }
  [[nodiscard]] int64_t group_size() const { return group_size_; }
  [[nodiscard]] const GroupedFormat& format() const { return format_; }
  [[nodiscard]] const Weight& scales() const { return scales_; }
  [[nodiscard]] const std::string& key() const { return key_; }

  [[nodiscard]] int64_t group_of(int64_t row) const {
    return group_of_.empty() ? row / group_size_ : group_of_[static_cast<size_t>(row)];
  }

  // Integers of one row, columns [first, last).
  void integers(int64_t row, int64_t first, int64_t last, uint8_t* out) const;

  // Zero points of one group.
  void zeros(int64_t group, int64_t first, int64_t last, uint8_t* out) const;

  [[nodiscard]] bool zeros_in_the_middle() const;

  // Rows in the order of their groups. Empty if they are in it.
  [[nodiscard]] std::vector<int64_t> order() const;

  // Whether the groups, one after the other, are as long as they ought to be.
  [[nodiscard]] bool are_groups_whole() const;

  // Floats [N, K], or [K, N] if `turned`: elements [first, first + amount).
  void read(bool turned, uint64_t first, uint64_t amount, float* out) const;

 private:
  void read_groups(const Weight& g_idx);

  // A row of words that lie along it.
  void words(const Weight& from, int64_t row, int64_t first, int64_t last, uint8_t* out) const;

  // put(k - first row, n - first column, value) for a rectangle.
  template <typename Put>
  void dequantize(int64_t row, int64_t last_row, int64_t first, int64_t last, const Put& put) const;

  GroupedFormat format_;
  Weight qweight_, qzeros_, scales_;
  int64_t per_word_;
  uint32_t mask_;
  int64_t rows_ = 0, columns_ = 0, groups_ = 0, group_size_ = 0;
  std::vector<int32_t> group_of_;  // Empty: one after the other.
  std::string key_;
};

struct GroupedNode final : Node {
  std::shared_ptr<const Grouped> matrix;
  bool turned = false;  // [K, N]

  static NodePtr make(std::shared_ptr<const Grouped> matrix, bool turned);
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  [[nodiscard]] std::string key() const override { return matrix->key() + (turned ? "t" : ""); }
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override;
};

}  // namespace ferry::weights
