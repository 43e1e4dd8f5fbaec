#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checked.h"
#include "checkpoint/h5_state.h"
#include "checkpoint/limits.h"
#include "checkpoint/torch_state_dict.h"

namespace ferry::checkpoint {
namespace {

constexpr uint64_t kMaxChunkBytes = 256u << 20;
constexpr uint64_t kDecodedBytes = 128u << 20;  // Rows of a chunked dataset that are decoded at once.
// Deflate cannot do better; a larger ratio means chunks that do not hold what they claim.
constexpr uint64_t kMaxRatio = 1040;

// Bit positions and sizes of a float's parts.
struct FloatLayout {
  size_t sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits, bias;
  bool operator==(const FloatLayout&) const = default;
};

struct FloatRow {
  size_t bytes;
  FloatLayout layout;
  DType dtype;
};

constexpr std::array<FloatRow, 4> kFloats = {{
    {2, {15, 10, 5, 0, 10, 15}, DType::f16},
    {2, {15, 7, 8, 0, 7, 127}, DType::bf16},
    {4, {31, 23, 8, 0, 23, 127}, DType::f32},
    {8, {63, 52, 11, 0, 52, 1023}, DType::f64},
}};

DType float_dtype(hid_t type) {
  FloatLayout layout{};
  if (H5Tget_fields(type, &layout.sign, &layout.exponent_at, &layout.exponent_bits, &layout.mantissa_at,
                    &layout.mantissa_bits) < 0)
    return DType::undefined;
  layout.bias = H5Tget_ebias(type);
  const size_t bytes = H5Tget_size(type);
  if (H5Tget_offset(type) != 0 || H5Tget_precision(type) != bytes * 8 ||
      H5Tget_norm(type) != H5T_NORM_IMPLIED)
    return DType::undefined;
  for (const FloatRow& row : kFloats) {
    if (row.bytes == bytes && row.layout == layout) return row.dtype;
  }
  return DType::undefined;
}

DType integer_dtype(hid_t type) {
  const size_t bytes = H5Tget_size(type);
  if (H5Tget_offset(type) != 0 || H5Tget_precision(type) != bytes * 8) return DType::undefined;
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  switch (bytes) {
    case 1:
      return is_signed ? DType::i8 : DType::u8;
    case 2:
      return is_signed ? DType::i16 : DType::u16;
    case 4:
      return is_signed ? DType::i32 : DType::u32;
    case 8:
      return is_signed ? DType::i64 : DType::u64;
    default:
      return DType::undefined;
  }
}

class DatasetReader {
 public:
  DatasetReader(std::shared_ptr<H5State> state, H5Handle dataset, std::string_view path)
      : state_(std::move(state)), dataset_(std::move(dataset)), path_(path) {}

  Weight read() {
    read_type();
    read_dims();
    const H5Handle plist(H5Dget_create_plist(dataset_.id()), H5Pclose);
    if (!plist.valid()) fail("its header is broken");
    if (H5Pget_external_count(plist.id()) != 0)
      refuse("its data lies in another file, which ferry does not open");
    if (count_ == 0) return Weight::inline_bytes(element_.dtype, dims_, {});
    switch (H5Pget_layout(plist.id())) {
      case H5D_CONTIGUOUS:
        return contiguous();
      case H5D_COMPACT:
        return compact();
      case H5D_CHUNKED:
        check_filters(plist.id());
        return chunked(plist.id());
      case H5D_VIRTUAL:
        refuse("a virtual dataset, whose data lies elsewhere, which ferry does not follow");
      default:
        refuse("its data has a layout that ferry does not know");
    }
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const { state_->fail(path_, reason); }
  [[noreturn]] void refuse(std::string_view reason) const { state_->refuse(path_, reason); }

  void read_type() {
    type_ = H5Handle(H5Dget_type(dataset_.id()), H5Tclose);
    if (!type_.valid()) fail("its element type is broken");
    element_ = h5_element(type_.id());
    if (element_.dtype == DType::undefined) refuse("its elements are not plain numbers");
  }

  void read_dims() {
    const H5Handle space(H5Dget_space(dataset_.id()), H5Sclose);
    const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.id()) : -1;
    if (rank < 0 || rank > H5S_MAX_RANK || H5Sget_simple_extent_type(space.id()) == H5S_NULL)
      fail("it has no shape");
    std::array<hsize_t, H5S_MAX_RANK> extent{};
    if (H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr) < 0) fail("its shape is broken");
    uint64_t count = 1;
    for (int i = 0; i < rank; ++i) {
      const hsize_t dim = extent.at(static_cast<size_t>(i));
      const auto next = checked_mul(count, dim);
      if (!next || dim > INT64_MAX) fail("the size of its shape does not fit 64 bits");
      count = *next;
      dims_.push_back(static_cast<int64_t>(dim));
    }
    const auto bytes = byte_size(element_.dtype, count);
    if (!bytes || *bytes > INT64_MAX) fail("the size of its shape does not fit 64 bits");
    count_ = count;
    bytes_ = *bytes;
  }

  [[nodiscard]] Weight in_order(const Weight& weight) const {
    return element_.big_endian ? byte_swapped(weight) : weight;
  }

  Weight contiguous() {
    const haddr_t offset = H5Dget_offset(dataset_.id());
    if (offset == HADDR_UNDEF) refuse("its data was never written");
    const uint64_t there = H5Dget_storage_size(dataset_.id());
    const uint64_t file = state_->bytes->bytes().size();
    if (there != bytes_ || offset > file || bytes_ > file - offset) {
      fail(fmt::format("its data has {} bytes at {} of {}, expected {} for {}{}", there, offset, file, bytes_,
                       to_string(element_.dtype), to_string(dims_)));
    }
    return in_order(Weight::stored(state_->bytes, offset, element_.dtype, dims_));
  }

  // Small data in the header itself.
  Weight compact() {
    if (bytes_ > state_->bytes->bytes().size()) fail("its data does not fit the file");
    std::vector<std::byte> out(bytes_);
    if (H5Dread(dataset_.id(), type_.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0)
      fail(fmt::format("its data cannot be read: {}", h5_error()));
    return in_order(Weight::inline_bytes(element_.dtype, dims_, std::move(out)));
  }

  void check_filters(hid_t plist) const {
    const int filters = H5Pget_nfilters(plist);
    for (int i = 0; i < filters; ++i) {
      unsigned flags = 0, config = 0;
      size_t values = 0;
      const H5Z_filter_t filter =
          H5Pget_filter2(plist, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
      const bool known =
          filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32;
      if (known && H5Zfilter_avail(filter) > 0) continue;
      refuse(fmt::format("its data is encoded by filter {}, expected none, gzip, shuffle or fletcher32",
                         filter));
    }
  }

  Weight chunked(hid_t plist) {
    std::array<hsize_t, H5S_MAX_RANK> chunk{};
    const int rank = H5Pget_chunk(plist, H5S_MAX_RANK, chunk.data());
    if (rank < 1 || static_cast<size_t>(rank) != dims_.size()) fail("its chunks have another rank");
    uint64_t chunk_bytes = bits_of(element_.dtype) / 8, chunks = 1;
    for (size_t i = 0; i < dims_.size(); ++i) {
      const auto dim = static_cast<uint64_t>(dims_[i]);
      if (chunk.at(i) == 0) fail("its chunks are empty");
      const auto bytes = checked_mul(chunk_bytes, chunk.at(i));
      if (!bytes || *bytes > kMaxChunkBytes)
        fail(fmt::format("its chunks have more than {} bytes", kMaxChunkBytes));
      chunk_bytes = *bytes;
      chunks *= (dim - 1) / chunk.at(i) + 1;  // At most the number of elements.
    }
    const uint64_t there = H5Dget_storage_size(dataset_.id());
    const uint64_t file = state_->bytes->bytes().size();
    if (there > file || bytes_ / kMaxRatio > there || !all_written(chunks))
      fail(fmt::format("its {} bytes of data cannot hold {}{}", there, to_string(element_.dtype),
                       to_string(dims_)));
    return in_order(lazy(chunk[0]));
  }

  [[nodiscard]] bool all_written(uint64_t chunks) const {
#if H5_VERSION_GE(1, 10, 5)
    const H5Handle space(H5Dget_space(dataset_.id()), H5Sclose);
    hsize_t written = 0;
    return H5Dget_num_chunks(dataset_.id(), space.id(), &written) >= 0 && written == chunks;
#else
    return true;
#endif
  }

  Weight lazy(uint64_t chunk_rows) {
    const auto rows = static_cast<uint64_t>(dims_[0]);
    const uint64_t row_bytes = bytes_ / rows;
    uint64_t band = std::max<uint64_t>(1, kDecodedBytes / std::max<uint64_t>(1, row_bytes));
    band = std::min(rows, std::max(chunk_rows, band / chunk_rows * chunk_rows));
    const auto shared = std::make_shared<Chunked>();
    shared->state = state_;
    shared->dataset = std::move(dataset_);
    shared->type = std::move(type_);
    shared->path = path_;
    shared->dims = dims_;
    shared->row_bytes = row_bytes;
    shared->band = band;
    const size_t element = bits_of(element_.dtype) / 8;
    return Weight::computed(element_.dtype, dims_, fmt::format("h5:{}:{}", state_->name, path_),
                            [shared, element](uint64_t first, uint64_t count, std::byte* out) {
                              shared->read(first * element, count * element, out);
                            });
  }

  // A dataset that is decoded in bands of whole rows. Lives as long as its Weight.
  struct Chunked {
    std::shared_ptr<H5State> state;
    H5Handle dataset;
    H5Handle type;
    std::string path;
    Dims dims;
    uint64_t row_bytes = 0;
    uint64_t band = 0;  // Rows.

    Chunked() = default;
    Chunked(const Chunked&) = delete;
    Chunked& operator=(const Chunked&) = delete;
    ~Chunked() {
      const auto lock = h5_lock();
      dataset = H5Handle();
      type = H5Handle();
      state.reset();
    }

    void read(uint64_t at, uint64_t amount, std::byte* out) const {
      const auto lock = h5_lock();
      const uint64_t band_bytes = band * row_bytes;
      while (amount > 0) {
        const std::vector<std::byte>& bytes = decode(at / band_bytes * band);
        const uint64_t within = at % band_bytes;
        const uint64_t done = std::min(amount, bytes.size() - within);
        std::memcpy(out, bytes.data() + within, done);
        out += done;
        at += done;
        amount -= done;
      }
    }

    const std::vector<std::byte>& decode(uint64_t first_row) const {
      H5State::Decoded& cache = state->decoded;
      if (cache.path == path && cache.first_row == first_row && !cache.bytes.empty()) return cache.bytes;
      cache = {};
      const uint64_t rows = std::min(band, static_cast<uint64_t>(dims[0]) - first_row);
      std::vector<hsize_t> start(dims.size(), 0), count(dims.begin(), dims.end());
      start[0] = first_row;
      count[0] = rows;
      const H5Handle from(H5Dget_space(dataset.id()), H5Sclose);
      const H5Handle to(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose);
      H5Sselect_hyperslab(from.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
      std::vector<std::byte> bytes(rows * row_bytes);
      if (H5Dread(dataset.id(), type.id(), to.id(), from.id(), H5P_DEFAULT, bytes.data()) < 0)
        state->fail(path, fmt::format("its data cannot be read: {}", h5_error()));
      cache = {path, first_row, std::move(bytes)};
      return cache.bytes;
    }
  };

  std::shared_ptr<H5State> state_;
  H5Handle dataset_;
  std::string path_;
  H5Handle type_;
  H5Element element_;
  Dims dims_;
  uint64_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

H5Element h5_element(hid_t type) {
  H5Element out;
  const H5T_class_t kind = H5Tget_class(type);
  const H5T_order_t order = H5Tget_order(type);
  if ((kind != H5T_FLOAT && kind != H5T_INTEGER) || (order != H5T_ORDER_LE && order != H5T_ORDER_BE))
    return out;
  out.dtype = kind == H5T_FLOAT ? float_dtype(type) : integer_dtype(type);
  out.big_endian = order == H5T_ORDER_BE;
  return out;
}

Weight read_h5_dataset(const std::shared_ptr<H5State>& state, H5Handle dataset, std::string_view path) {
  return DatasetReader(state, std::move(dataset), path).read();
}

}  // namespace ferry::checkpoint
