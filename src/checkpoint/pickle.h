#pragma once
// A pickle machine for state dicts. It builds values out of a closed set of kinds and has no call: a name
// that the pickle asks for is looked up in a list (pickle_globals.h), and what a "call" of it would make is
// written down, not made. Objects live in an arena and refer to each other by number, so depth costs no
// stack and cycles cost nothing.
// Source: torch 2.13, _weights_only_unpickler.py; CPython, Lib/pickletools.py.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/pickle_globals.h"
#include "tensor/weight.h"

namespace ferry::checkpoint {

enum class PickleKind : uint8_t {
  none,
  boolean,
  whole,
  number,
  text,
  tuple,
  list,
  dict,
  global,
  storage,
  tensor,
  opaque
};
/// "a tuple", for messages.
std::string_view describe(PickleKind kind);

using PickleId = uint32_t;

struct PickleObject {
  PickleKind kind = PickleKind::none;
  int64_t number = 0;              ///< boolean and whole: the value. storage and tensor: the index.
  const Global* global = nullptr;  ///< global: the name.
  std::string_view text;           ///< text: UTF-8, bytes of the pickle itself.
  std::vector<PickleId> items;     ///< tuple, list: the elements. dict: key, value, key, value, ...
};

/// Bytes that lie beside the pickle.
struct PickledStorage {
  std::string_view key;
  DType dtype = DType::undefined;
  uint64_t count = 0;  ///< Elements.
  /// The legacy format's views: this many elements, from this one on, of the storage `key`.
  struct View {
    uint64_t first = 0;
    uint64_t count = 0;
  };
  std::optional<View> view;
};

struct PickledTensor {
  size_t storage = 0;  ///< Index into Pickle::storages.
  DType dtype = DType::undefined;
  uint64_t offset = 0;  ///< Elements.
  Dims size;
  Dims stride;  ///< Elements.
};

struct Pickle {
  std::vector<PickleObject> objects;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  PickleId root = 0;
  size_t length = 0;  ///< Bytes that the pickle takes.
  size_t copied =
      0;  ///< Items copied into dictionaries made of lists; bounded, for a list can be used often.

  [[nodiscard]] const PickleObject& at(PickleId id) const { return objects[id]; }
};

/// Runs the pickle at the start of `bytes`, up to its STOP. Texts refer to `bytes`.
/// Errors: Error{unsupported} for an opcode or a name that has no place in a state dict, naming it;
/// Error{invalid_file} for anything broken or beyond the limits. Messages start with `what` and give the
/// byte.
Pickle unpickle(std::string_view bytes, std::string_view what);

}  // namespace ferry::checkpoint
