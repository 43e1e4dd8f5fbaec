#include "checkpoint/pickle_build.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoint/limits.h"

namespace ferry::checkpoint {
namespace {

constexpr size_t kMaxArguments = 16;

PickleResult problem(std::string text) {
  return {.problem = std::move(text)};
}

// The whole number that an item is, if it is one and not negative.
std::optional<uint64_t> as_count(const Pickle& pickle, PickleId id) {
  const PickleObject& object = pickle.at(id);
  if (object.kind != PickleKind::whole || object.number < 0) return std::nullopt;
  return static_cast<uint64_t>(object.number);
}

std::optional<Dims> as_dims(const Pickle& pickle, PickleId id) {
  const PickleObject& object = pickle.at(id);
  if (object.kind != PickleKind::tuple && object.kind != PickleKind::list) return std::nullopt;
  if (object.items.size() > kMaxRank) return std::nullopt;
  Dims out;
  for (const PickleId item : object.items) {
    const auto dim = as_count(pickle, item);
    if (!dim) return std::nullopt;
    out.push_back(static_cast<int64_t>(*dim));
  }
  return out;
}

// PyTorch's metadata marks a tensor as conjugated or negated without saying so in its bytes.
bool has_metadata(const Pickle& pickle, const std::vector<PickleId>& arguments, size_t at) {
  if (arguments.size() <= at) return false;
  const PickleObject& metadata = pickle.at(arguments[at]);
  return metadata.kind != PickleKind::none && !metadata.items.empty();
}

PickleResult rebuild_tensor(Pickle& pickle, const std::vector<PickleId>& arguments, bool is_v3) {
  if (arguments.size() < 4 || (is_v3 && arguments.size() < 7))
    return problem("a tensor with too few arguments");
  const PickleObject& storage = pickle.at(arguments[0]);
  const auto offset = as_count(pickle, arguments[1]);
  auto size = as_dims(pickle, arguments[2]);
  auto stride = as_dims(pickle, arguments[3]);
  if (storage.kind != PickleKind::storage)
    return problem(fmt::format("a tensor over {}, expected a storage", describe(storage.kind)));
  if (!offset || !size || !stride || size->size() != stride->size()) {
    return problem(fmt::format(
        "a tensor whose offset, size and stride are not whole numbers, of at most {} dimensions each",
        kMaxRank));
  }
  if (has_metadata(pickle, arguments, is_v3 ? 7 : 6))
    return problem("a tensor with a conjugate or negative bit");
  const auto index = static_cast<size_t>(storage.number);
  DType dtype = pickle.storages[index].dtype;
  if (is_v3) {
    const PickleObject& type = pickle.at(arguments[6]);
    if (type.kind != PickleKind::global || type.global->role != GlobalRole::dtype)
      return problem(fmt::format("a tensor whose dtype is {}", describe(type.kind)));
    dtype = type.global->dtype;
  }
  const auto number = static_cast<int64_t>(pickle.tensors.size());
  pickle.tensors.push_back({index, dtype, *offset, std::move(*size), std::move(*stride)});
  return {.made = {.kind = PickleKind::tensor, .number = number}};
}

// The first argument, a tensor that exists.
PickleResult first_tensor(const Pickle& pickle, const std::vector<PickleId>& arguments) {
  if (arguments.empty() || pickle.at(arguments[0]).kind != PickleKind::tensor)
    return problem("a parameter that is not made of a tensor");
  return {.existing = arguments[0]};
}

// Python 2 wrote OrderedDict([[key, value], ...]).
PickleResult make_dict(Pickle& pickle, const std::vector<PickleId>& arguments) {
  PickleResult out{.made = {.kind = PickleKind::dict}};
  if (arguments.empty()) return out;
  const PickleObject& list = pickle.at(arguments[0]);
  if (arguments.size() > 1 || (list.kind != PickleKind::list && list.kind != PickleKind::tuple))
    return problem(fmt::format("a dictionary made of {}", describe(list.kind)));
  pickle.copied += list.items.size();
  if (pickle.copied > kMaxTensors) return problem(fmt::format("more than {} entries copied", kMaxTensors));
  for (const PickleId id : list.items) {
    const PickleObject& pair = pickle.at(id);
    if ((pair.kind != PickleKind::list && pair.kind != PickleKind::tuple) || pair.items.size() != 2)
      return problem("a dictionary made of other things than pairs");
    out.made.items.push_back(pair.items[0]);
    out.made.items.push_back(pair.items[1]);
  }
  return out;
}

PickleResult make(Pickle& pickle, const Global& function, const std::vector<PickleId>& arguments);

// _rebuild_from_type_v2(function, type, arguments, state): attributes on a tensor. One level, never nested.
PickleResult rebuild_from_type(Pickle& pickle, const std::vector<PickleId>& arguments) {
  if (arguments.size() != 4) return problem("_rebuild_from_type_v2 without its four arguments");
  const PickleObject& function = pickle.at(arguments[0]);
  const PickleObject& type = pickle.at(arguments[1]);
  const PickleObject& inner = pickle.at(arguments[2]);
  const bool rebuilds =
      function.kind == PickleKind::global && (function.global->role == GlobalRole::rebuild_tensor ||
                                              function.global->role == GlobalRole::rebuild_tensor_v3 ||
                                              function.global->role == GlobalRole::rebuild_parameter);
  const bool plain = type.kind == PickleKind::global && (type.global->role == GlobalRole::tensor_class ||
                                                         type.global->role == GlobalRole::parameter);
  if (!rebuilds || !plain || inner.kind != PickleKind::tuple)
    return problem("a tensor of a class of its own");
  if (inner.items.size() > kMaxArguments) return problem("a call with too many arguments");
  return make(pickle, *function.global, std::vector<PickleId>(inner.items));
}

PickleResult make(Pickle& pickle, const Global& function, const std::vector<PickleId>& arguments) {
  if (pickle.tensors.size() >= kMaxTensors) return problem(fmt::format("more than {} tensors", kMaxTensors));
  switch (function.role) {
    case GlobalRole::dict:
      return make_dict(pickle, arguments);
    case GlobalRole::opaque:
      return {.made = {.kind = PickleKind::opaque}};
    case GlobalRole::size:
      if (arguments.size() != 1 || !as_dims(pickle, arguments[0]))
        return problem("a torch.Size of other than numbers");
      return {.existing = arguments[0]};
    case GlobalRole::rebuild_tensor:
      return rebuild_tensor(pickle, arguments, false);
    case GlobalRole::rebuild_tensor_v3:
      return rebuild_tensor(pickle, arguments, true);
    case GlobalRole::parameter:
    case GlobalRole::rebuild_parameter:
      return first_tensor(pickle, arguments);
    case GlobalRole::rebuild_from_type:
      return rebuild_from_type(pickle, arguments);
    default:
      return problem(fmt::format("{} is called, which is no function", function.name));
  }
}

PickleResult bad_id() {
  return problem("a persistent id other than (\"storage\", type, key, location, count)");
}

}  // namespace

PickleResult pickle_call(Pickle& pickle, PickleId function, PickleId arguments) {
  const PickleObject& callee = pickle.at(function);
  const PickleObject& tuple = pickle.at(arguments);
  if (callee.kind != PickleKind::global) return problem(fmt::format("{} is called", describe(callee.kind)));
  if (tuple.kind != PickleKind::tuple) return problem(fmt::format("a call with {}", describe(tuple.kind)));
  if (tuple.items.size() > kMaxArguments) return problem("a call with too many arguments");
  // A copy: making an object may move the arena.
  return make(pickle, *callee.global, std::vector<PickleId>(tuple.items));
}

PickleResult pickle_new(Pickle& pickle, PickleId type, PickleId arguments) {
  const PickleObject& object = pickle.at(type);
  const bool allowed =
      object.kind == PickleKind::global &&
      (object.global->role == GlobalRole::dict || object.global->role == GlobalRole::opaque ||
       object.global->role == GlobalRole::size || object.global->role == GlobalRole::parameter);
  if (!allowed) return problem(fmt::format("an object is made of {}", describe(object.kind)));
  return pickle_call(pickle, type, arguments);
}

PickleResult pickle_storage(Pickle& pickle, PickleId id) {
  const PickleObject& tuple = pickle.at(id);
  if (tuple.kind != PickleKind::tuple || tuple.items.size() < 5 || tuple.items.size() > 6) return bad_id();
  const PickleObject& tag = pickle.at(tuple.items[0]);
  const PickleObject& type = pickle.at(tuple.items[1]);
  const PickleObject& key = pickle.at(tuple.items[2]);
  const PickleObject& location = pickle.at(tuple.items[3]);
  const auto count = as_count(pickle, tuple.items[4]);
  const bool fits = tag.kind == PickleKind::text && tag.text == "storage" &&
                    type.kind == PickleKind::global && type.global->role == GlobalRole::storage &&
                    key.kind == PickleKind::text && location.kind == PickleKind::text && count;
  if (!fits) return bad_id();
  PickledStorage storage{key.text, type.global->dtype, *count, std::nullopt};
  if (tuple.items.size() == 6 && pickle.at(tuple.items[5]).kind != PickleKind::none) {
    const PickleObject& view = pickle.at(tuple.items[5]);
    if (view.kind != PickleKind::tuple || view.items.size() != 3) return bad_id();
    const auto first = as_count(pickle, view.items[1]);
    const auto length = as_count(pickle, view.items[2]);
    if (!first || !length) return bad_id();
    storage.view = PickledStorage::View{*first, *length};
  }
  if (pickle.storages.size() >= kMaxTensors)
    return problem(fmt::format("more than {} storages", kMaxTensors));
  const auto number = static_cast<int64_t>(pickle.storages.size());
  pickle.storages.push_back(storage);
  return {.made = {.kind = PickleKind::storage, .number = number}};
}

}  // namespace ferry::checkpoint
