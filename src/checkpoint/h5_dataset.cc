#include "checkpoint/h5_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/h5_chunks.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/torch_state_dict.h"

namespace ferry::checkpoint {
namespace {

class DatasetReader {
 public:
  DatasetReader(std::shared_ptr<const H5Bytes> bytes, const std::vector<H5Message>& messages,
                std::string_view path)
      : bytes_(std::move(bytes)), messages_(messages), path_(path) {}

  Weight read() {
    if (find(H5MessageType::external_files) != nullptr)
      refuse("its data lies in another file, which ferry does not open");
    type_ = read_h5_type(*bytes_, need(H5MessageType::datatype));
    if (type_.dtype == DType::undefined) refuse("its elements are not plain numbers");
    shape_ = read_h5_shape(*bytes_, need(H5MessageType::dataspace));
    const std::string_view layout = need(H5MessageType::layout);
    if (shape_.count == 0) return Weight::inline_bytes(type_.dtype, empty_dims(), {});
    size_ = shape_.count * type_.size;  // Both were checked to be small enough.
    ByteReader reader(layout);
    const auto version = reader.number<uint8_t>();
    const auto kind = reader.number<uint8_t>();
    if (!kind || (*version != 3 && *version != 4))
      refuse(fmt::format("a layout of version {}", version.value_or(0)));
    switch (*kind) {
      case 0:
        return in_order(compact(reader));
      case 1:
        return in_order(contiguous(reader));
      case 2:
        return in_order(chunked(reader, *version));
      case 3:
        refuse("a virtual dataset, whose data lies elsewhere, which ferry does not follow");
      default:
        refuse("its data has a layout that ferry does not know");
    }
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const {
    bytes_->fail(fmt::format("{}: {}", in_quotes(path_), reason));
  }
  [[noreturn]] void refuse(std::string_view reason) const {
    bytes_->refuse(fmt::format("{}: {}", in_quotes(path_), reason));
  }

  [[nodiscard]] const H5Message* find(H5MessageType type) const {
    const auto found = std::find_if(messages_.begin(), messages_.end(),
                                    [&](const H5Message& message) { return message.type == type; });
    return found == messages_.end() ? nullptr : &*found;
  }

  [[nodiscard]] std::string_view need(H5MessageType type) const {
    const H5Message* message = find(type);
    if (message == nullptr) fail("not a dataset");
    if ((message->flags & 2) != 0) refuse("a part of its header lies elsewhere in the file");
    return message->data;
  }

  // Of the null shape, too, which has no dimensions.
  [[nodiscard]] Dims empty_dims() const { return shape_.dims.empty() ? Dims{0} : shape_.dims; }

  [[nodiscard]] Weight in_order(const Weight& weight) const {
    return type_.big_endian ? byte_swapped(weight) : weight;
  }

  [[nodiscard]] std::string claim() const {
    return fmt::format("{}{}", to_string(type_.dtype), to_string(shape_.dims));
  }

  // Data in the header itself.
  Weight compact(ByteReader& reader) const {
    const auto size = reader.number<uint16_t>();
    const size_t here = size && *size == size_ && reader.left() >= size_ ? reader.at() : 0;
    if (here == 0) fail(fmt::format("its header does not hold the {} bytes of {}", size_, claim()));
    const auto* from = reinterpret_cast<const std::byte*>(find(H5MessageType::layout)->data.data()) + here;
    return Weight::inline_bytes(type_.dtype, shape_.dims, {from, from + size_});
  }

  Weight contiguous(ByteReader& reader) const {
    const auto address = reader.number<uint64_t>();
    const auto size = reader.number<uint64_t>();
    if (!size) fail("its layout is broken");
    if (*address == kH5Undefined) refuse("its data was never written");
    if (*size != size_) fail(fmt::format("it has {} bytes of data, {} takes {}", *size, claim(), size_));
    (void)bytes_->at(*address, size_, fmt::format("{}: its data", in_quotes(path_)));
    return Weight::stored(bytes_->source(), bytes_->base() + *address, type_.dtype, shape_.dims);
  }

  Weight chunked(ByteReader& reader, uint8_t version) const {
    H5ChunkedData data;
    data.path = path_;
    data.dims = shape_.dims;
    data.element = type_.size;
    read_filters(data);
    read_h5_chunks(*bytes_, reader, version, data);
    return chunked_h5_weight(bytes_, type_.dtype, std::move(data));
  }

  void read_filters(H5ChunkedData& data) const {
    const H5Message* message = find(H5MessageType::filters);
    if (message == nullptr) return;
    if ((message->flags & 2) != 0) refuse("a part of its header lies elsewhere in the file");
    ByteReader reader(message->data);
    const auto version = reader.number<uint8_t>();
    const auto count = reader.number<uint8_t>();
    if (!count || *version < 1 || *version > 2 || *count > 32) fail("its filters are broken");
    if (*version == 1) reader.take(6);
    for (uint8_t i = 0; i < *count; ++i) {
      const auto filter = reader.number<uint16_t>();
      uint64_t name = 0;
      if (filter && (*version == 1 || *filter >= 256)) name = reader.number<uint16_t>().value_or(0);
      reader.take(2);  // Flags.
      const auto values = reader.number<uint16_t>();
      const uint64_t padded = *version == 1 ? (name + 7) / 8 * 8 : name;
      if (!values || !reader.take(padded) ||
          !reader.take(4 * (*values + (*version == 1 ? *values % 2u : 0u))))
        fail("its filters are broken");
      if (*filter < 1 || *filter > 3)
        refuse(fmt::format("its data is encoded by filter {}, expected none, gzip, shuffle or fletcher32",
                           *filter));
      data.filters.push_back(*filter);
    }
  }

  std::shared_ptr<const H5Bytes> bytes_;
  const std::vector<H5Message>& messages_;
  std::string path_;
  H5Type type_;
  H5Shape shape_;
  uint64_t size_ = 0;
};

}  // namespace

Weight read_h5_dataset(const std::shared_ptr<const H5Bytes>& bytes, const std::vector<H5Message>& messages,
                       std::string_view path) {
  return DatasetReader(bytes, messages, path).read();
}

}  // namespace ferry::checkpoint
