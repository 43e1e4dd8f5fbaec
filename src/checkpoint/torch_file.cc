#include "checkpoint/torch_file.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/pickle.h"
#include "checkpoint/torch_state_dict.h"
#include "checkpoint/zip.h"

namespace ferry::checkpoint {
namespace {

// The legacy format's magic number, 0x1950a86a20f9469cfc6c, as pickle writes it.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kLegacyProtocol = 1001;

std::string_view text_of(const ByteSource& source) {
  return {reinterpret_cast<const char*>(source.bytes().data()), source.bytes().size()};
}

// Bytes that the storage's elements take.
uint64_t wanted_bytes(const PickledStorage& storage, std::string_view file) {
  const auto bytes = checked_mul(storage.count, bits_of(storage.dtype) / 8);
  if (!bytes)
    throw_invalid(file, fmt::format("storage {}: {} elements do not fit 64 bits", in_quotes(storage.key),
                                    storage.count));
  return *bytes;
}

// An archive's records lie in one folder, whose name is free.
std::string archive_folder(const ZipDirectory& zip, std::string_view file) {
  std::string folder;
  size_t found = 0;
  bool is_script = false;
  for (const auto& [name, record] : zip) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos) continue;
    if (std::string_view(name).substr(slash) == "/constants.pkl") is_script = true;
    if (std::string_view(name).substr(slash) != "/data.pkl") continue;
    folder = name.substr(0, slash + 1);
    ++found;
  }
  if (is_script) {
    throw Error(ErrorCode::unsupported, fmt::format("{} is a TorchScript archive: it holds code", file))
        .with_hint("save the model's state dict: torch.save(model.state_dict(), \"pytorch_model.bin\")");
  }
  if (found != 1)
    throw_invalid(
        file,
        fmt::format("a zip archive with {} records data.pkl, expected one: not from torch.save?", found));
  return folder;
}

bool is_big_endian(const ZipDirectory& zip, const std::string& folder, std::string_view text,
                   std::string_view file) {
  const std::string name = folder + "byteorder";
  if (zip.find(name) == zip.end()) return false;
  const ZipRecord record = stored_record(zip, name, file);
  const std::string_view order = text.substr(record.offset, record.size);
  if (order != "little" && order != "big")
    throw_invalid(file, fmt::format("the byteorder is {}, expected little or big", in_quotes(order)));
  return order == "big";
}

TensorFile read_zip(const std::shared_ptr<const ByteSource>& source, const std::string& file) {
  const std::string_view text = text_of(*source);
  const ZipDirectory zip = read_zip_directory(text, file);
  const std::string folder = archive_folder(zip, file);
  const ZipRecord data = stored_record(zip, folder + "data.pkl", file);
  if (data.size > kMaxPickleBytes)
    throw_invalid(file,
                  fmt::format("data.pkl has {} bytes, more than the {} allowed", data.size, kMaxPickleBytes));
  const Pickle pickle = unpickle(text.substr(data.offset, data.size), fmt::format("{}: data.pkl", file));

  StorageMap storages{source, {}, is_big_endian(zip, folder, text, file)};
  storages.place = [&](const PickledStorage& storage) -> StoragePlace {
    const std::string name = fmt::format("{}data/{}", folder, storage.key);
    const ZipRecord record = stored_record(zip, name, file);
    const uint64_t wanted = wanted_bytes(storage, file);
    if (record.size != wanted) {
      throw_invalid(file, fmt::format("the record {} has {} bytes, {} {} take {}", in_quotes(name),
                                      record.size, storage.count, to_string(storage.dtype), wanted));
    }
    return {record.offset, record.size};
  };
  TensorFile out = torch_state_dict(pickle, storages, file);
  out.format = "pytorch";
  return out;
}

// Magic number, protocol version, system information, the object, the list of storage keys; then each
// storage as a 64-bit count and its bytes.
class LegacyReader {
 public:
  LegacyReader(std::shared_ptr<const ByteSource> source, const std::string& file)
      : source_(std::move(source)), text_(text_of(*source_)), file_(file) {}

  TensorFile read() {
    const Pickle magic = next("magic number");
    const PickleObject& number = magic.at(magic.root);
    if (number.kind != PickleKind::number || number.text != kLegacyMagic) {
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{} is a pickle, but not one that torch.save wrote: its magic number is missing",
                      file_))
          .with_hint("save the state dict with torch.save");
    }
    const Pickle protocol = next("protocol version");
    const PickleObject& version = protocol.at(protocol.root);
    if (version.kind != PickleKind::whole || version.number != kLegacyProtocol)
      throw_invalid(file_,
                    fmt::format("legacy protocol version {}, expected {}", version.number, kLegacyProtocol));
    next("system information");
    const Pickle object = next("object");
    const Pickle keys = next("storage keys");
    index_storages(object, keys);

    StorageMap storages{source_, {}, false};
    storages.place = [&](const PickledStorage& storage) -> StoragePlace {
      const auto found = places_.find(storage.key);
      if (found == places_.end())
        throw_invalid(file_, fmt::format("storage {} is not in the file", in_quotes(storage.key)));
      return found->second;
    };
    TensorFile out = torch_state_dict(object, storages, file_);
    out.format = "pytorch (legacy)";
    return out;
  }

 private:
  Pickle next(std::string_view what) {
    Pickle pickle =
        unpickle(text_.substr(at_), fmt::format("{}: pickle of the {} (at byte {})", file_, what, at_));
    at_ += pickle.length;
    return pickle;
  }

  void index_storages(const Pickle& object, const Pickle& keys) {
    std::unordered_map<std::string_view, const PickledStorage*> declared;
    for (const PickledStorage& storage : object.storages) declared.emplace(storage.key, &storage);
    const PickleObject& list = keys.at(keys.root);
    if (list.kind != PickleKind::list) throw_invalid(file_, "the storage keys are not a list");
    ByteReader reader(text_, at_);
    for (const PickleId id : list.items) {
      const PickleObject& key = keys.at(id);
      const auto found = key.kind == PickleKind::text ? declared.find(key.text) : declared.end();
      if (found == declared.end())
        throw_invalid(file_, fmt::format("the storage key {} is not used", in_quotes(key.text)));
      const PickledStorage& storage = *found->second;
      const uint64_t bytes = wanted_bytes(storage, file_);
      const auto count = reader.number<uint64_t>();
      if (!count || *count != storage.count) {
        throw_invalid(file_,
                      fmt::format("storage {} has {} elements in the file, expected {}", in_quotes(key.text),
                                  count ? fmt::to_string(*count) : "no", storage.count));
      }
      const size_t at = reader.at();
      if (!reader.take(bytes))
        throw_invalid(file_, fmt::format("storage {}: {} bytes at {} run over the file's end: truncated?",
                                         in_quotes(key.text), bytes, at));
      if (!places_.emplace(key.text, StoragePlace{at, bytes}).second)
        throw_invalid(file_, fmt::format("storage {} is in the file twice", in_quotes(key.text)));
    }
    if (reader.left() != 0)
      throw_invalid(file_, fmt::format("{} bytes follow the last storage", reader.left()));
  }

  std::shared_ptr<const ByteSource> source_;
  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  std::map<std::string, StoragePlace, std::less<>> places_;
};

bool is_tar(std::string_view text) {
  return text.size() >= 512 && text.substr(257, 5) == "ustar";
}

}  // namespace

TensorFile read_torch(std::shared_ptr<const ByteSource> source, std::string_view file) {
  const std::string where = printable(file, 300);
  const std::string_view text = text_of(*source);
  if (starts_with(text, "PK\x03\x04")) return read_zip(source, where);
  if (is_tar(text)) {
    throw Error(ErrorCode::unsupported, fmt::format("{} is a tar file of PyTorch before 0.2", where))
        .with_hint("load it in PyTorch with weights_only=False, if you trust it, and save it again");
  }
  if (starts_with(text, "version https://git-lfs"))
    throw_invalid(where, "a git-lfs pointer, not the weights: run git lfs pull");
  if (text.empty() || text[0] != '\x80') throw_invalid(where, "not a file that torch.save wrote");
  return LegacyReader(std::move(source), where).read();
}

}  // namespace ferry::checkpoint
