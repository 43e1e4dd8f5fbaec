#include "checkpoint/pickle.h"

#include <fmt/format.h>

#include <array>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/pickle_build.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

// An object takes 64 bytes here and one or two in the file. A state dict of 100,000 tensors has 3 million.
constexpr size_t kMaxObjects = 4'000'000;
constexpr size_t kMaxStack = 1'000'000;  // Pickle writes containers in batches of 1,000.
constexpr size_t kMaxGlobalName = 256;

// Opcodes, under CPython's names. Those of torch's own reader, no others.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kEmptySet = 0x8f,
};

class Machine {
 public:
  Machine(std::string_view bytes, std::string_view what) : bytes_(bytes), reader_(bytes), what_(what) {
    // The three constants are one object each: they cost one byte in the file.
    out_.objects.resize(3);
    out_.objects[1].kind = out_.objects[2].kind = PickleKind::boolean;
    out_.objects[2].number = 1;
  }

  Pickle run() {
    while (true) {
      op_at_ = reader_.at();
      const auto op = number<uint8_t>();
      if (op == kStop) break;
      if (!scalar(op) && !container(op) && !memo(op) && !object(op)) refuse_opcode(op);
    }
    out_.root = pop();
    if (!stack_.empty() || !marks_.empty()) fail("values are left over at its end");
    out_.length = reader_.at();
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw_invalid(what_, fmt::format("broken pickle at byte {}: {}", op_at_, reason));
  }

  [[noreturn]] void refuse_opcode(uint8_t op) const {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{}: pickle opcode 0x{:02x} at byte {} has no place in a state dict; nothing was run",
                    printable(what_, 300), op, op_at_))
        .with_hint(
            "torch.load(weights_only=True) refuses it, too; save the state dict with torch.save's defaults");
  }

  template <typename T>
  T number() {
    const auto value = reader_.number<T>();
    if (!value) fail("truncated");
    return *value;
  }

  std::string_view take(uint64_t count) {
    const auto bytes = reader_.take(count);
    if (!bytes) fail(fmt::format("{} bytes are asked for, {} are left", count, reader_.left()));
    return *bytes;
  }

  std::string_view line() {
    const size_t end = bytes_.find('\n', reader_.at());
    if (end == std::string_view::npos || end - reader_.at() > kMaxGlobalName)
      fail(fmt::format("a name longer than {} bytes", kMaxGlobalName));
    const std::string_view out = take(end - reader_.at());
    take(1);
    return out;
  }

  // The values above the last mark.
  [[nodiscard]] size_t above_mark() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  PickleId pop() {
    if (above_mark() == 0) fail("a value is asked for and none is there");
    const PickleId id = stack_.back();
    stack_.pop_back();
    return id;
  }

  PickleObject& top(PickleKind kind) {
    if (above_mark() == 0) fail("a value is asked for and none is there");
    PickleObject& object = out_.objects[stack_.back()];
    if (object.kind != kind)
      fail(fmt::format("{} where {} is needed", describe(object.kind), describe(kind)));
    return object;
  }

  std::vector<PickleId> pop_mark() {
    if (marks_.empty()) fail("a mark is asked for and none is there");
    std::vector<PickleId> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  std::vector<PickleId> pop_many(size_t count) {
    if (above_mark() < count) fail("a value is asked for and none is there");
    std::vector<PickleId> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  void push(PickleObject object) {
    if (out_.objects.size() >= kMaxObjects) fail(fmt::format("more than {} objects", kMaxObjects));
    push_existing(static_cast<PickleId>(out_.objects.size()));
    out_.objects.push_back(std::move(object));
  }

  void push_existing(PickleId id) {
    if (stack_.size() >= kMaxStack) fail(fmt::format("more than {} values at once", kMaxStack));
    stack_.push_back(id);
  }

  void push_whole(int64_t value) { push({.kind = PickleKind::whole, .number = value}); }
  void push_text(std::string_view text) {
    if (!is_utf8(text)) fail("a string that is not UTF-8");
    push({.kind = PickleKind::text, .text = text});
  }
  void push_items(PickleKind kind, std::vector<PickleId> items) {
    push({.kind = kind, .items = std::move(items)});
  }

  bool scalar(uint8_t op) {
    switch (op) {
      case kProto:
        number<uint8_t>();
        return true;
      case kNone:
        push_existing(0);
        return true;
      case kNewFalse:
        push_existing(1);
        return true;
      case kNewTrue:
        push_existing(2);
        return true;
      case kBinInt:
        push_whole(number<int32_t>());
        return true;
      case kBinInt1:
        push_whole(number<uint8_t>());
        return true;
      case kBinInt2:
        push_whole(number<uint16_t>());
        return true;
      case kBinFloat:
        take(8);
        push({.kind = PickleKind::number});
        return true;
      case kLong1:
        push_long(take(number<uint8_t>()));
        return true;
      case kBinUnicode:
        push_text(take(number<uint32_t>()));
        return true;
      case kShortBinString:
        push_text(take(number<uint8_t>()));
        return true;
      default:
        return false;
    }
  }

  // A little-endian two's complement number of any length. One that 64 bits cannot hold stays without a
  // value.
  void push_long(std::string_view digits) {
    if (digits.size() > 8) return push({.kind = PickleKind::number, .text = digits});
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size(); ++i) value |= uint64_t{static_cast<uint8_t>(digits[i])} << (8 * i);
    const bool negative = !digits.empty() && (static_cast<uint8_t>(digits.back()) & 0x80) != 0;
    if (negative && digits.size() < 8) value |= ~uint64_t{0} << (8 * digits.size());
    push_whole(static_cast<int64_t>(value));
  }

  bool container(uint8_t op) {
    switch (op) {
      case kMark:
        if (marks_.size() >= kMaxStack) fail(fmt::format("more than {} open marks", kMaxStack));
        marks_.push_back(stack_.size());
        return true;
      case kEmptyTuple:
        push_items(PickleKind::tuple, {});
        return true;
      case kTuple:
        push_items(PickleKind::tuple, pop_mark());
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_items(PickleKind::tuple, pop_many(size_t{op} - kTuple1 + 1));
        return true;
      case kEmptyList:
        push_items(PickleKind::list, {});
        return true;
      case kEmptyDict:
        push_items(PickleKind::dict, {});
        return true;
      case kEmptySet:
        push({.kind = PickleKind::opaque});
        return true;
      case kAppend:
        extend(PickleKind::list, pop_many(1));
        return true;
      case kAppends:
        extend(PickleKind::list, pop_mark());
        return true;
      case kSetItem:
        extend(PickleKind::dict, pop_many(2));
        return true;
      case kSetItems:
        extend(PickleKind::dict, pop_mark());
        return true;
      default:
        return false;
    }
  }

  void extend(PickleKind kind, const std::vector<PickleId>& items) {
    if (kind == PickleKind::dict && items.size() % 2 != 0) fail("a key without a value");
    auto& all = top(kind).items;
    all.insert(all.end(), items.begin(), items.end());
  }

  bool memo(uint8_t op) {
    switch (op) {
      case kBinGet:
        return get(number<uint8_t>());
      case kLongBinGet:
        return get(number<uint32_t>());
      case kBinPut:
        return put(number<uint8_t>());
      case kLongBinPut:
        return put(number<uint32_t>());
      default:
        return false;
    }
  }

  bool get(uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) fail(fmt::format("memo slot {} is empty", slot));
    push_existing(found->second);
    return true;
  }

  bool put(uint32_t slot) {
    if (above_mark() == 0) fail("a value is asked for and none is there");
    if (memo_.size() >= kMaxObjects) fail(fmt::format("more than {} objects in the memo", kMaxObjects));
    memo_[slot] = stack_.back();
    return true;
  }

  bool object(uint8_t op) {
    switch (op) {
      case kGlobal:
        push_global();
        return true;
      case kReduce:
      case kNewObj: {
        const std::vector<PickleId> both = pop_many(2);
        result(op == kReduce ? pickle_call(out_, both[0], both[1]) : pickle_new(out_, both[0], both[1]));
        return true;
      }
      case kBuild: {
        pop();  // The state: attributes of a dictionary or of an opaque value, never looked at.
        if (above_mark() == 0) fail("a value is asked for and none is there");
        const PickleKind kind = out_.objects[stack_.back()].kind;
        if (kind != PickleKind::dict && kind != PickleKind::opaque)
          fail(fmt::format("{} with a state of its own", describe(kind)));
        return true;
      }
      case kBinPersId: {
        const PickleId id = pop();
        result(pickle_storage(out_, id));
        return true;
      }
      default:
        return false;
    }
  }

  void push_global() {
    const std::string_view module = line();
    const std::string_view name = line();
    const Global* global = find_global(module, name);
    if (global == nullptr || global->role == GlobalRole::known_but_not_read) {
      Error error(ErrorCode::unsupported,
                  fmt::format("{}: the pickle asks for the global \"{}.{}\" at byte {}, {}; nothing was run",
                              printable(what_, 300), printable(module, 120), printable(name, 120), op_at_,
                              global == nullptr ? "which has no place in a state dict"
                                                : "a kind of value that ferry does not read"));
      if (global == nullptr)
        error.with_hint("if it is a whole pickled model: load it in PyTorch and save model.state_dict()");
      throw error;
    }
    push({.kind = PickleKind::global, .global = global});
  }

  // What a call makes: an object that is there already, or a new one.
  void result(PickleResult made) {
    if (!made.problem.empty()) fail(made.problem);
    if (made.existing) {
      push_existing(*made.existing);
    } else {
      push(std::move(made.made));
    }
  }

  std::string_view bytes_;
  ByteReader reader_;
  std::string_view what_;
  size_t op_at_ = 0;
  Pickle out_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleId> memo_;
};

}  // namespace

std::string_view describe(PickleKind kind) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "None",   "a boolean",    "an integer",          "a number",  "a string", "a tuple",
      "a list", "a dictionary", "a class or function", "a storage", "a tensor", "a value of another kind"};
  return kNames.at(static_cast<size_t>(kind));
}

Pickle unpickle(std::string_view bytes, std::string_view what) {
  return Machine(bytes.substr(0, kMaxPickleBytes), what).run();
}

}  // namespace ferry::checkpoint
