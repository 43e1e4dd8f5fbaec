#include "checkpoint/torch_file.h"

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "unit/checkpoint/make_files.h"

namespace ferry::checkpoint {
namespace {
using test::data;
using test::expect_error;

TensorFile read(const std::string& name) {
  return read_torch(file_source(data(name)), name);
}

TensorFile read_bytes(std::string_view bytes) {
  return read_torch(test::bytes_of(bytes), "x.bin");
}

test::Tensors contents(const std::string& name) {
  return open_checkpoint(data(name)).state.tensors;
}

TEST(Torch, ViewsStridesAndSharedStoragesAreHonoured) {
  const auto zip = read("torch/views.bin");
  EXPECT_EQ(zip.format, "pytorch");
  test::expect_same_tensors(zip.tensors, contents("torch/views.safetensors"));
  EXPECT_EQ(zip.tensors.at("whole").key(), zip.tensors.at("tied").key());
  const auto range = zip.tensors.at("whole").file_range();
  ASSERT_TRUE(range.has_value()) << "a whole stored tensor lies in the file";
  EXPECT_EQ(range->file.filename(), "views.bin");

  const auto legacy = read("torch/views_legacy.bin");
  EXPECT_EQ(legacy.format, "pytorch (legacy)");
  test::expect_same_tensors(legacy.tensors, contents("torch/views.safetensors"));
}

TEST(Torch, EveryElementTypeIsRead) {
  test::expect_same_tensors(read("torch/dtypes.bin").tensors, contents("torch/dtypes.safetensors"));
}

TEST(Torch, ShardsAreJoinedByTheirIndex) {
  const Checkpoint checkpoint = open_checkpoint(data("torch/sharded"));
  EXPECT_EQ(checkpoint.format, "pytorch");
  EXPECT_EQ(checkpoint.files.size(), 3u);
  test::expect_same_tensors(checkpoint.state.tensors, contents("torch/views.safetensors"));
}

TEST(Torch, AStateDictOneLevelDownIsTakenWithAWarning) {
  const auto file = read("torch/training.ckpt");
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors.at("weight").dims(), (Dims{4, 6}));
  EXPECT_THAT(file.warnings,
              testing::ElementsAre(testing::HasSubstr("is taken from its key \"state_dict\"")));
}

TEST(Torch, WhatIsNoStateDictIsRefusedByName) {
  const auto refused = [](const std::string& name, ErrorCode code, const std::string& text) {
    expect_error([&] { read("torch/" + name); }, code, text);
  };
  refused("whole_model.bin", ErrorCode::unsupported,
          "asks for the global \"torch.nn.modules.linear.Linear\" at byte");
  refused("sparse.bin", ErrorCode::unsupported, "\"torch._utils._rebuild_sparse_tensor\"");
  refused("quantized.bin", ErrorCode::unsupported, "\"torch._utils._rebuild_qtensor\"");
  refused("conjugate.bin", ErrorCode::invalid_file, "a tensor with a conjugate or negative bit");
  refused("script.bin", ErrorCode::unsupported, "is a TorchScript archive: it holds code");
  refused("protocol4.bin", ErrorCode::unsupported, "pickle opcode 0x95");
}

TEST(Torch, TheBertFilesHoldTheBytesOfTheSafetensorsFile) {
  const auto wanted = contents("bert/model.safetensors");
  test::expect_same_tensors(contents("bert/bin"), wanted);
  test::expect_same_tensors(contents("bert/legacy"), wanted);
  test::expect_same_tensors(contents("bert/sharded"), wanted);
}

// A zip archive as torch.save writes it, of the given records.
std::string zip(const std::vector<std::pair<std::string, std::string>>& records, uint16_t method = 0) {
  std::string out, directory;
  for (const auto& [name, content] : records) {
    const std::string sizes = test::little_endian(content.size(), 4) + test::little_endian(content.size(), 4);
    const std::string common = test::little_endian(method, 2) + std::string(8, '\0') + sizes +
                               test::little_endian(name.size(), 2) + test::little_endian(0, 2);
    directory += "PK\x01\x02" + test::little_endian(0, 2) + test::little_endian(0, 2) +
                 test::little_endian(0, 2) + common + std::string(10, '\0') +
                 test::little_endian(out.size(), 4) + name;
    out += "PK\x03\x04" + test::little_endian(0, 2) + test::little_endian(0, 2) + common + name + content;
  }
  const std::string count = test::little_endian(records.size(), 2);
  return out + directory + "PK\x05\x06" + std::string(4, '\0') + count + count +
         test::little_endian(directory.size(), 4) + test::little_endian(out.size(), 4) +
         test::little_endian(0, 2);
}

std::string text(std::string_view value) {
  return "X" + test::little_endian(value.size(), 4) + std::string(value);
}
std::string number(uint32_t value) {
  return "J" + test::little_endian(value, 4);
}
std::string numbers(const std::vector<uint32_t>& values) {
  std::string out = "(";
  for (const uint32_t value : values) out += number(value);
  return out + "t";
}

// The pickle of {name: tensor}.
std::string tensor_pickle(const std::string& storage_type, uint32_t count, uint32_t offset,
                          const std::vector<uint32_t>& size, const std::vector<uint32_t>& stride) {
  return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
         storage_type + "\n" + text("0") + text("cpu") + number(count) + "tQ" + number(offset) +
         numbers(size) + numbers(stride) + "\x89}tRs.";
}

std::string archive(const std::string& pickle, const std::string& storage) {
  return zip({{"x/data.pkl", pickle}, {"x/data/0", storage}});
}

TEST(Torch, EveryViewIsCheckedAgainstItsStorage) {
  const std::string bytes = "abcdefgh";
  const auto read_view = [&](uint32_t count, uint32_t offset, const std::vector<uint32_t>& size,
                             const std::vector<uint32_t>& stride) {
    return test::to_text(read_bytes(archive(tensor_pickle("ByteStorage", count, offset, size, stride), bytes))
                             .tensors.at("w"));
  };
  EXPECT_EQ(read_view(8, 2, {2, 3}, {3, 1}), "cdefgh");
  EXPECT_EQ(read_view(8, 0, {4, 2}, {1, 4}), "aebfcgdh");
  EXPECT_EQ(read_view(8, 7, {3}, {0}), "hhh");
  EXPECT_EQ(read_view(8, 100, {0, 3}, {3, 1}).size(), 0u) << "torch takes an empty view anywhere";
}

TEST(Torch, ViewsAndRecordsThatDoNotFitAreRefused) {
  const auto refused = [](const std::string& pickle, const std::string& storage, const std::string& reason) {
    expect_error([&] { read_bytes(archive(pickle, storage)); }, ErrorCode::invalid_file, reason);
  };
  refused(tensor_pickle("ByteStorage", 8, 0, {9}, {1}), "abcdefgh",
          "does not lie within its storage of 8 bytes");
  refused(tensor_pickle("ByteStorage", 8, 8, {1}, {1}), "abcdefgh",
          "does not lie within its storage of 8 bytes");
  refused(tensor_pickle("ByteStorage", 8, 0, {2, 2}, {7, 2}), "abcdefgh", "does not lie within");
  refused(tensor_pickle("ByteStorage", 8, 0, {2147483647, 2147483647, 2147483647},
                        {2147483647, 2147483647, 2147483647}),
          "abcdefgh", "does not lie within");
  refused(tensor_pickle("ByteStorage", 8, 0, {100000, 10000}, {0, 0}), "abcdefgh",
          "is an expansion of a storage of 8 bytes");
  refused(tensor_pickle("ByteStorage", 8, 0, {2, 4}, {1}), "abcdefgh", "whose offset, size and stride");
  refused(tensor_pickle("ByteStorage", 8, 0, {8}, {0xFFFFFFFF}), "abcdefgh", "whose offset, size and stride");
  refused(tensor_pickle("ByteStorage", 9, 0, {1}, {1}), "abcdefgh",
          "the record \"x/data/0\" has 8 bytes, 9 u8 take 9");
  refused(tensor_pickle("FloatStorage", 8, 0, {1}, {1}), "abcdefgh",
          "the record \"x/data/0\" has 8 bytes, 8 f32 take 32");
  expect_error(
      [] {
        read_bytes(zip({{"x/data.pkl", tensor_pickle("ByteStorage", 1, 0, {1}, {1})}}));
      },
      ErrorCode::invalid_file, "there is no record \"x/data/0\"");
}

TEST(Torch, BigEndianRecordsAreSwapped) {
  const std::string pickle = tensor_pickle("ShortStorage", 2, 0, {2}, {1});
  const auto file = read_bytes(
      zip({{"x/data.pkl", pickle}, {"x/byteorder", "big"}, {"x/data/0", std::string("\0\1\0\2", 4)}}));
  EXPECT_EQ(file.tensors.at("w").as_i64(), (std::vector<int64_t>{1, 2}));
  expect_error(
      [&] {
        read_bytes(zip({{"x/data.pkl", pickle}, {"x/byteorder", "odd"}, {"x/data/0", "abcd"}}));
      },
      ErrorCode::invalid_file, "the byteorder is \"odd\"");
}

TEST(Torch, NothingOffTheListIsLoaded) {
  const auto refused = [](const std::string& pickle, ErrorCode code, const std::string& reason) {
    expect_error([&] { read_bytes(zip({{"x/data.pkl", pickle}})); }, code, reason);
  };
  const auto global = [](const std::string& name) {
    return "\x80\x02"
           "c" +
           name + "\n";
  };
  for (const std::string name :
       {"os\nsystem", "posix\nsystem", "builtins\neval", "__builtin__\nexec", "builtins\ngetattr",
        "torch\nload", "torch.storage\n_load_from_bytes", "numpy\nfrombuffer", "torch.hub\nload",
        "collections\nOrderedDict.fromkeys", "copyreg\n_reconstructor", "torch\nload.Tensor2"}) {
    refused(global(name) + ".", ErrorCode::unsupported,
            "which has no place in a state dict; nothing was run");
  }
  refused(global("builtins\nbytearray") + ".", ErrorCode::unsupported,
          "a kind of value that ferry does not read");
  refused(global(std::string(1 << 20, 'a') + "\nb"), ErrorCode::invalid_file, "a name longer than 256 bytes");
  // STACK_GLOBAL, INST, OBJ, EXT1, PERSID, NEWOBJ_EX and text opcodes.
  for (const char op : {'\x93', 'i', 'o', '\x82', 'P', '\x92', 'I', 'S', 'V', 'F', 'p', 'g', '2', '0'}) {
    refused(std::string("\x80\x02NNNN") + op + ".", ErrorCode::unsupported, "pickle opcode 0x");
  }
  refused("\x80\x02" + text("os.system") + ")R.", ErrorCode::invalid_file, "a string is called");
  refused("\x80\x02" + text("x") + ")\x81.", ErrorCode::invalid_file, "an object is made of a string");
  refused(global("torch\nFloatStorage") + ")R.", ErrorCode::invalid_file, "is called, which is no function");
  refused("\x80\x02]Nb.", ErrorCode::invalid_file, "a list with a state of its own");
  refused("\x80\x02(" + text("module") + "NNNNtQ.", ErrorCode::invalid_file, "a persistent id other than");
  refused("\x80\x02" + text("0") + "Q.", ErrorCode::invalid_file, "a persistent id other than");
}

TEST(Torch, BrokenPicklesAreRefused) {
  const auto refused = [](const std::string& pickle, const std::string& reason) {
    expect_error([&] { read_bytes(zip({{"x/data.pkl", pickle}})); }, ErrorCode::invalid_file, reason);
  };
  refused("", "truncated");
  refused("\x80", "truncated");
  refused("\x80\x02", "truncated");
  refused(".", "a value is asked for");
  refused("NN.", "values are left over");
  refused("(N.", "values are left over");
  refused("N(R.", "a value is asked for");
  refused("t.", "a mark is asked for");
  refused("X\xff\xff\xff\x7f", "bytes are asked for");
  refused("h\x05.", "memo slot 5 is empty");
  refused("q\x05.", "a value is asked for");
  refused("Na.", "a value is asked for");
  refused("NNa.", "None where a list is needed");
  refused("](Nu.", "a key without a value");
  refused("](NNu.", "a list where a dictionary is needed");
  refused("cos", "a name longer than");
  refused("}.", "the state dict holds no tensors");
  refused("}" + text("epoch") + "Ns.", "it holds \"epoch\"; save the state dict itself");
  expect_error(
      [&] {
        read_bytes(zip({{"x/data.pkl", "]."}}));
      },
      ErrorCode::unsupported, "holds a list, expected a state dict");
  // A container in itself, a hundred thousand levels, a million marks: no recursion anywhere.
  refused(
      "]q\x01h\x01"
      "a" +
          text("x") + ".",
      "values are left over");
  refused(std::string(100000, ']') + std::string(99999, 'a') + "a.", "a value is asked for");
  refused(std::string(2000000, '('), "open marks");
  refused(std::string(2000000, 'N'), "values at once");
}

TEST(Torch, NamesOfDataParallelAreReported) {
  std::string pickle = tensor_pickle("ByteStorage", 1, 0, {1}, {1});
  pickle.replace(3, text("w").size(), text("module.w"));
  const auto file = read_bytes(archive(pickle, "x"));
  EXPECT_THAT(file.warnings, testing::ElementsAre(testing::HasSubstr("every name begins with \"module.\"")));
}

TEST(Torch, ADictionaryMadeOfPairsIsRead) {
  // Python 2: OrderedDict([[key, value], ...]).
  const std::string tensor = tensor_pickle("ByteStorage", 2, 0, {2}, {1});
  const std::string value = tensor.substr(3 + text("w").size(), tensor.size() - 3 - text("w").size() - 2);
  const auto file =
      read_bytes(archive("\x80\x02"
                         "ccollections\nOrderedDict\n(](]" +
                             text("w") + "a" + value + "aetR.",
                         "ab"));
  EXPECT_EQ(test::to_text(file.tensors.at("w")), "ab");
}

TEST(Zip, ADirectoryThatLiesIsRefused) {
  const std::string pickle = tensor_pickle("ByteStorage", 8, 0, {8}, {1});
  const std::string good = archive(pickle, "abcdefgh");
  EXPECT_EQ(read_bytes(good).tensors.size(), 1u);
  const auto refused = [](const std::string& bytes, const std::string& reason) {
    expect_error([&] { read_bytes(bytes); }, ErrorCode::invalid_file, reason);
  };
  const auto patched = [&](size_t at, const std::string& bytes) {
    std::string out = good;
    return out.replace(at, bytes.size(), bytes);
  };
  const size_t end = good.size() - 22;
  const size_t directory = good.find("PK\x01\x02");
  const size_t second_entry = good.find("PK\x01\x02", directory + 4);
  const size_t second_local = good.rfind("PK\x03\x04");
  refused(good.substr(0, good.size() - 1), "there is no end record");
  refused(good.substr(0, 30), "there is no end record");
  refused(good + "x", "the end record's comment does not end with the file");
  refused(patched(end + 4, "\1"), "split over several files");
  refused(patched(end + 8, std::string("\3\0\3\0", 4)), "3 entries do not fit a directory of 110");
  refused(patched(end + 8, "\xfe\xff\xfe\xff"), "entries do not fit a directory");
  refused(patched(end + 8, std::string("\1\0\1\0", 4)), "bytes follow the last entry of the directory");
  refused(patched(end + 16, test::little_endian(0, 4)), "does not end at");
  refused(patched(end + 16, "\xff\xff\xff\xff"), "does not end at");
  refused(patched(directory, "XX"), "broken directory entry");
  refused(patched(directory + 28, "\xff\xff"), "runs over the directory's end");
  refused(patched(second_entry + 42, test::little_endian(0, 4)),
          "the local header at byte 0 is another record's");
  refused(patched(second_entry + 42, test::little_endian(5, 4)), "no local header at byte 5");
  refused(patched(second_entry + 42, "\xff\xff\xff\x7f"), "no local header at byte");
  refused(patched(second_entry + 24, test::little_endian(7, 4)), "stored, but 8 bytes hold 7");
  refused(patched(second_local + 22, test::little_endian(7, 4)),
          "the local header says 7 bytes, the directory 8");
  refused(patched(second_entry + 20, test::little_endian(900, 4) + test::little_endian(900, 4)),
          "the local header says 8 bytes, the directory 900");
  refused(zip({{"x/data.pkl", pickle}, {"x/data/0", "abcdefgh"}, {"x/data/0", "abcdefgh"}}),
          "two records are named");
  refused(zip({{"x/data.pkl", pickle}, {"y/data.pkl", pickle}, {"x/data/0", "abcdefgh"}}),
          "2 records data.pkl");
  refused(zip({{"data.pkl", pickle}}), "0 records data.pkl");
  expect_error(
      [&] {
        read_bytes(zip({{"x/data.pkl", pickle}}, 8));
      },
      ErrorCode::unsupported, "zip record \"x/data.pkl\" is compressed (method 8)");
  std::string encrypted = good;
  encrypted[directory + 8] = 1;
  refused(encrypted, "record \"x/data.pkl\": encrypted");
}

// The archive with its sizes and places in zip64 fields, as archives over 4 GB have them.
std::string as_zip64(std::string bytes) {
  const size_t end = bytes.size() - 22;
  const uint64_t count = static_cast<uint8_t>(bytes[end + 8]);
  size_t entry = bytes.find("PK\x01\x02");
  const size_t directory = entry;
  std::string wide;
  for (uint64_t i = 0; i < count; ++i) {
    std::string fixed = bytes.substr(entry, 46);
    const size_t name = static_cast<uint8_t>(fixed[28]);
    const std::string size = fixed.substr(24, 4) + std::string(4, '\0'),
                      at = fixed.substr(42, 4) + std::string(4, '\0');
    const std::string extra = test::little_endian(7, 2) + test::little_endian(1, 2) + "x" +
                              test::little_endian(1, 2) + test::little_endian(24, 2) + size + size + at;
    fixed.replace(20, 8, std::string(8, '\xff'))
        .replace(42, 4, std::string(4, '\xff'))
        .replace(30, 2, test::little_endian(extra.size(), 2));
    wide += fixed + bytes.substr(entry + 46, name) + extra;
    entry += 46 + name;
  }
  bytes.resize(directory);
  const std::string end64 = "PK\x06\x06" + test::little_endian(44, 8) + std::string(12, '\0') +
                            test::little_endian(count, 8) + test::little_endian(count, 8) +
                            test::little_endian(wide.size(), 8) + test::little_endian(directory, 8);
  const std::string locator = "PK\x06\x07" + std::string(4, '\0') +
                              test::little_endian(directory + wide.size(), 8) + test::little_endian(1, 4);
  return bytes + wide + end64 + locator + "PK\x05\x06" + std::string(4, '\0') + std::string(12, '\xff') +
         std::string(2, '\0');
}

TEST(Zip, Zip64ArchivesAreRead) {
  const std::string good = as_zip64(archive(tensor_pickle("ByteStorage", 8, 0, {8}, {1}), "abcdefgh"));
  EXPECT_EQ(test::to_text(read_bytes(good).tensors.at("w")), "abcdefgh");
  const auto refused = [&](size_t at, const std::string& bytes, const std::string& reason) {
    std::string bad = good;
    bad.replace(at, bytes.size(), bytes);
    expect_error([&] { read_bytes(bad); }, ErrorCode::invalid_file, reason);
  };
  const size_t end = good.size() - 22, locator = end - 20, end64 = locator - 56;
  refused(locator + 8, test::little_endian(UINT64_MAX, 8),
          "the zip64 end record is not where its locator says");
  refused(end64 + 48, test::little_endian(UINT64_MAX, 8), "does not end at");
  refused(end64 + 24, test::little_endian(UINT64_MAX, 8) + test::little_endian(UINT64_MAX, 8),
          "entries do not fit");
  refused(end + 8, std::string("\5\0\5\0", 4), "the end record and the zip64 end record disagree");
  refused(end64 - 8, test::little_endian(UINT64_MAX, 8), "no local header at byte");
}

TEST(Zip, RecordsThatOverlapAreRefused) {
  // The second entry points into the first record's content, where a whole local record lies.
  const std::string inner = zip({{"x/data/0", "abcdefgh"}});
  const std::string local = inner.substr(0, inner.find("PK\x01\x02"));
  std::string bytes =
      zip({{"x/data.pkl", tensor_pickle("ByteStorage", 8, 0, {8}, {1}) + local}, {"x/data/0", "abcdefgh"}});
  const size_t entry = bytes.rfind("PK\x01\x02");
  bytes.replace(entry + 42, 4, test::little_endian(bytes.find(local), 4));
  expect_error([&] { read_bytes(bytes); }, ErrorCode::invalid_file, "two records overlap at byte");
}

TEST(TorchLegacy, EveryPartIsChecked) {
  const std::string good = test::read_file(data("torch/views_legacy.bin"));
  const auto refused = [](const std::string& bytes, ErrorCode code, const std::string& reason) {
    expect_error([&] { read_bytes(bytes); }, code, reason);
  };
  refused("", ErrorCode::invalid_file, "not a file that torch.save wrote");
  refused("hello", ErrorCode::invalid_file, "not a file that torch.save wrote");
  refused("version https://git-lfs.github.com/spec/v1\n", ErrorCode::invalid_file, "a git-lfs pointer");
  refused("\x80\x02N.", ErrorCode::unsupported, "not one that torch.save wrote");
  refused(
      "\x80\x02"
      "cos\nsystem\n.",
      ErrorCode::unsupported, "\"os.system\"");
  refused(good.substr(0, 14), ErrorCode::invalid_file, "broken pickle");
  refused(good.substr(0, good.size() - 1), ErrorCode::invalid_file, "truncated?");
  refused(good.substr(0, 600), ErrorCode::invalid_file, "broken pickle");
  refused(good + "x", ErrorCode::invalid_file, "1 bytes follow the last storage");
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  refused(tar, ErrorCode::unsupported, "is a tar file of PyTorch before 0.2");
}

}  // namespace
}  // namespace ferry::checkpoint
