#include "checkpoint/torch_state_dict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

// An expanded tensor (stride 0) may be larger than its storage, within reason.
constexpr uint64_t kMaxExpandedBytes = 64u << 20;

constexpr std::array<std::string_view, 4> kNestedKeys = {"state_dict", "model_state_dict", "model", "module"};

class StateDictReader {
 public:
  StateDictReader(const Pickle& pickle, const StorageMap& storages, std::string_view file)
      : pickle_(pickle), storages_(storages), file_(file) {}

  TensorFile read() {
    const PickleObject& root = find_state_dict();
    std::vector<std::string> left_out;
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const PickleObject& value = pickle_.at(root.items[i + 1]);
      const std::string name = key_of(pickle_.at(root.items[i]));
      if (value.kind != PickleKind::tensor) {
        left_out.push_back(fmt::format("{} ({})", in_quotes(name), describe(value.kind)));
        continue;
      }
      const Weight weight = to_weight(pickle_.tensors[static_cast<size_t>(value.number)], name);
      if (!out_.tensors.emplace(name, weight).second)
        throw_invalid(file_, fmt::format("two tensors are named {}", in_quotes(name)));
    }
    if (out_.tensors.empty()) throw_no_tensors(root);
    if (!left_out.empty())
      out_.warnings.push_back(fmt::format("{}: not tensors, left out: {}", file_, join(left_out, ", ", 5)));
    warn_of_prefix();
    return std::move(out_);
  }

 private:
  std::string key_of(const PickleObject& key) const {
    if (key.kind != PickleKind::text)
      throw_invalid(file_, fmt::format("the state dict has {} for a name", describe(key.kind)));
    if (key.text.size() > kMaxNameBytes)
      throw_invalid(file_, fmt::format("the tensor name {} is longer than {} bytes", in_quotes(key.text),
                                       kMaxNameBytes));
    return std::string(key.text);
  }

  [[nodiscard]] bool has_tensors(const PickleObject& dict) const {
    for (size_t i = 1; i < dict.items.size(); i += 2) {
      if (pickle_.at(dict.items[i]).kind == PickleKind::tensor) return true;
    }
    return false;
  }

  // The root, or the one state dict below it that training loops put there.
  const PickleObject& find_state_dict() {
    const PickleObject& root = pickle_.at(pickle_.root);
    if (root.kind != PickleKind::dict) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{} holds {}, expected a state dict", file_, describe(root.kind)))
          .with_hint("save model.state_dict()");
    }
    if (has_tensors(root)) return root;
    for (const auto wanted : kNestedKeys) {
      for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
        const PickleObject& key = pickle_.at(root.items[i]);
        const PickleObject& value = pickle_.at(root.items[i + 1]);
        if (key.kind != PickleKind::text || key.text != wanted) continue;
        if (value.kind != PickleKind::dict || !has_tensors(value)) continue;
        out_.warnings.push_back(
            fmt::format("{}: the state dict is taken from its key \"{}\"", file_, wanted));
        return value;
      }
    }
    return root;
  }

  void warn_of_prefix() {
    const auto has_prefix = [](const auto& entry) { return starts_with(entry.first, "module."); };
    if (!std::all_of(out_.tensors.begin(), out_.tensors.end(), has_prefix)) return;
    out_.warnings.push_back(
        fmt::format("{}: every name begins with \"module.\", as DataParallel saves them; no model has such "
                    "names: save model.module.state_dict()",
                    file_));
  }

  [[noreturn]] void throw_no_tensors(const PickleObject& root) const {
    std::vector<std::string> keys;
    for (size_t i = 0; i + 1 < root.items.size() && keys.size() < 8; i += 2) {
      const PickleObject& key = pickle_.at(root.items[i]);
      if (key.kind == PickleKind::text) keys.push_back(in_quotes(key.text));
    }
    Error error(ErrorCode::invalid_file, fmt::format("{}: the state dict holds no tensors", file_));
    if (!keys.empty())
      error.with_hint(fmt::format("it holds {}; save the state dict itself, model.state_dict()", join(keys)));
    throw error;
  }

  // The storage's place; a key means the same bytes and elements wherever it occurs.
  StoragePlace place(const PickledStorage& storage, const std::string& name) {
    const auto [known, is_new] = seen_.emplace(storage.key, &storage);
    if (!is_new && (known->second->dtype != storage.dtype || known->second->count != storage.count)) {
      throw_invalid(file_,
                    fmt::format("tensor {}: storage {} is {} {} here and {} {} elsewhere", in_quotes(name),
                                in_quotes(storage.key), storage.count, to_string(storage.dtype),
                                known->second->count, to_string(known->second->dtype)));
    }
    StoragePlace whole = storages_.place(storage);
    if (!storage.view) return whole;
    const uint64_t element = bits_of(storage.dtype) / 8;
    if (storage.view->first > storage.count || storage.view->count > storage.count - storage.view->first)
      throw_invalid(file_,
                    fmt::format("tensor {}: a view of elements [{}, {} more) of a storage of {}",
                                in_quotes(name), storage.view->first, storage.view->count, storage.count));
    return {whole.offset + storage.view->first * element, storage.view->count * element};
  }

  Weight to_weight(const PickledTensor& tensor, const std::string& name) {
    const PickledStorage& storage = pickle_.storages[tensor.storage];
    const StoragePlace where = place(storage, name);
    const uint64_t element = bits_of(tensor.dtype) / 8;
    const auto reach = extent(tensor, element);
    // PyTorch takes an empty view anywhere.
    const auto begin = reach == 0u ? std::optional<uint64_t>(0) : checked_mul(tensor.offset, element);
    const auto end = begin && reach ? checked_add(*begin, *reach) : std::nullopt;
    if (!end || *end > where.size) {
      throw_invalid(file_,
                    fmt::format("tensor {}: {}{} with strides {} from element {} on does not lie within its "
                                "storage of {} bytes",
                                in_quotes(name), to_string(tensor.dtype), to_string(tensor.size),
                                to_string(tensor.stride), tensor.offset, where.size));
    }
    check_expansion(tensor, element, where.size, name);
    const Weight view =
        Weight::strided(storages_.source, where.offset + *begin, tensor.dtype, tensor.size, tensor.stride);
    return storages_.big_endian ? byte_swapped(view) : view;
  }

  // Bytes from the first to the end of the last element; nothing if that does not fit 64 bits.
  static std::optional<uint64_t> extent(const PickledTensor& tensor, uint64_t element) {
    if (std::find(tensor.size.begin(), tensor.size.end(), 0) != tensor.size.end()) return 0;
    uint64_t last = 0;
    for (size_t i = 0; i < tensor.size.size(); ++i) {
      const auto step =
          checked_mul(static_cast<uint64_t>(tensor.stride[i]), static_cast<uint64_t>(tensor.size[i] - 1));
      const auto next = step ? checked_add(last, *step) : std::nullopt;
      if (!next) return std::nullopt;
      last = *next;
    }
    const auto elements = checked_add(last, 1);
    return elements ? checked_mul(*elements, element) : std::nullopt;
  }

  void check_expansion(const PickledTensor& tensor, uint64_t element, uint64_t available,
                       const std::string& name) const {
    uint64_t bytes = element;
    for (const int64_t dim : tensor.size) {
      const auto next = checked_mul(bytes, static_cast<uint64_t>(dim));
      bytes = next ? *next : UINT64_MAX;
    }
    if (bytes <= std::max(available, kMaxExpandedBytes)) return;
    throw_invalid(file_,
                  fmt::format("tensor {}: {}{} is an expansion of a storage of {} bytes", in_quotes(name),
                              to_string(tensor.dtype), to_string(tensor.size), available));
  }

  const Pickle& pickle_;
  const StorageMap& storages_;
  std::string_view file_;
  TensorFile out_;
  std::unordered_map<std::string_view, const PickledStorage*> seen_;
};

}  // namespace

TensorFile torch_state_dict(const Pickle& pickle, const StorageMap& storages, std::string_view file) {
  return StateDictReader(pickle, storages, file).read();
}

}  // namespace ferry::checkpoint
