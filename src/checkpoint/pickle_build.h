#pragma once
// What the "calls" of a pickle make. Private to pickle.cc.
#include <optional>
#include <string>

#include "checkpoint/pickle.h"

namespace ferry::checkpoint {

/// One of the three: an object that exists, a new one, or why there is none.
struct PickleResult {
  std::optional<PickleId> existing;
  PickleObject made;
  std::string problem;
};

/// REDUCE: function(*arguments).
PickleResult pickle_call(Pickle& pickle, PickleId function, PickleId arguments);
/// NEWOBJ: type.__new__(type, *arguments).
PickleResult pickle_new(Pickle& pickle, PickleId type, PickleId arguments);
/// BINPERSID: the storage that a persistent id names.
PickleResult pickle_storage(Pickle& pickle, PickleId id);

}  // namespace ferry::checkpoint
