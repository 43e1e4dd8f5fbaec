#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/flax_msgpack.h"
#include "checkpoint/sorted_table.h"
#include "checkpoint/tf1_checkpoint.h"
#include "unit/checkpoint/make_files.h"

namespace ferry::checkpoint {
namespace {
using test::data;
using test::expect_error;

std::string text(std::string_view value) {
  return static_cast<char>(0xA0 + value.size()) + std::string(value);
}
std::string map(size_t members) {
  return {static_cast<char>(0x80 + members)};
}

// An array as flax writes it: extension 1 around [shape, dtype, bytes].
std::string array(const std::string& shape, const std::string& dtype, const std::string& bytes) {
  const std::string inner = "\x93" + shape + text(dtype) + "\xC4" + static_cast<char>(bytes.size()) + bytes;
  return std::string("\xC7") + static_cast<char>(inner.size()) + "\x01" + inner;
}

TensorFile read(const std::string& bytes) {
  return read_flax(test::bytes_of(bytes), "x.msgpack");
}

TEST(Flax, ATreeOfArraysIsFlattened) {
  const auto file = read(map(2) + text("a") + map(1) + text("0") + array("\x92\x01\x02", "uint8", "xy") +
                         text("b") + array("\x90", "V2", "zz"));
  EXPECT_EQ(file.format, "flax");
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(test::to_text(file.tensors.at("a/0")), "xy");
  EXPECT_EQ(file.tensors.at("a/0").dims(), (Dims{1, 2}));
  EXPECT_EQ(file.tensors.at("b").dtype(), DType::bf16);
}

TEST(Flax, ArraysCutIntoChunksAreJoined) {
  const auto chunked = [](const std::string& shape) {
    return map(1) + text("w") + map(3) + "\xD9\x19__msgpack_chunked_array__\xC3" + text("shape") + shape +
           text("chunks") + map(2) + text("0") + array("\x91\x02", "uint8", "ab") + text("1") +
           array("\x91\x04", "uint8", "cdef");
  };
  const auto file = read(chunked(map(2) + text("0") + "\x02" + text("1") + "\x03"));
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors.at("w").dims(), (Dims{2, 3}));
  EXPECT_EQ(test::to_text(file.tensors.at("w")), "abcdef");
  expect_error([&] { read(chunked(map(1) + text("0") + "\x07")); }, ErrorCode::invalid_file,
               "array \"w\" has 6 bytes, u8[7] takes 7");
  expect_error([&] { read(chunked(map(0))); }, ErrorCode::invalid_file, "lacks its shape or chunks");
}

TEST(Flax, WhatIsNoTreeOfArraysIsRefused) {
  const auto refused = [](const std::string& bytes, const std::string& reason,
                          ErrorCode code = ErrorCode::invalid_file) {
    expect_error([&] { read(bytes); }, code, reason);
  };
  const std::string good = array("\x91\x02", "uint8", "xy");
  refused("", "broken or truncated msgpack at byte 0");
  refused("\x93", "not a msgpack map");
  refused(map(0), "holds no arrays");
  refused(map(1), "reading a name");
  refused(map(1) + "\x05" + good, "a name that is not a string");
  refused(map(1) + text("a"), "reading \"a\"");
  refused(map(1) + text("a") + "\xC1", "broken or truncated");
  refused(map(1) + text("a") + good + "x", "1 bytes follow the tree");
  refused(map(1) + text("a/b") + good, "without \"/\"");
  refused(map(2) + text("a") + good + text("a") + good, "two arrays are named \"a\"");
  refused(map(1) + text("a") + "\xC0", "\"a\" is not an array", ErrorCode::unsupported);
  refused(map(1) + text("step") + "\x05", "\"step\" is not an array", ErrorCode::unsupported);
  refused(map(2) + text("a") + good + text("b") + map(1) + text("0") + "\x05",
          "\"b\" holds numbers that are no array");
  refused(map(1) + text("a") + array("\x91\x03", "uint8", "xy"), "array \"a\" has 2 bytes, u8[3] takes 3");
  refused(map(1) + text("a") + array("\x92\xCF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x04", "float32", "xy"),
          "more than 64 bits can count");
  refused(map(1) + text("a") + array("\x91\xFF", "uint8", "xy"), "no whole number");
  refused(map(1) + text("a") + array("\x90", "object", "xy"), "has dtype \"object\"", ErrorCode::unsupported);
  refused(map(1) + text("a") + "\xC7\x01\x01\x93", "not [shape, dtype, bytes]");
  refused(map(1) + text("a") + "\xDF\xFF\xFF\xFF\xFF", "reading a name");
  refused(map(1) + text("a") + "\xDB\xFF\xFF\xFF\xFF", "broken or truncated");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += map(1) + text("a");
  refused(deep + good, "nested deeper than 64");
}

TEST(Tf1, WhatTensorflowsSaverWroteIsRead) {
  const Checkpoint checkpoint = open_checkpoint(data("tf1"));
  EXPECT_EQ(checkpoint.format, "tf1");
  EXPECT_TRUE(checkpoint.foreign);
  std::string names;
  for (const auto& [name, weight] : checkpoint.state.tensors)
    names += fmt::format("{} {}{}\n", name, to_string(weight.dtype()), to_string(weight.dims()));
  EXPECT_EQ(names,
            "bert.embeddings.word_embeddings.weight f32[2, 3]\n"
            "bert.encoder.layer.0.attention.output.LayerNorm.bias f32[3]\n"
            "bert.encoder.layer.0.attention.output.LayerNorm.weight f32[3]\n"
            "bert.encoder.layer.0.attention.self.query.bias f16[3]\n"
            "bert.encoder.layer.0.attention.self.query.weight f32[3, 2]\n"
            "cls.predictions.bias f32[2]\n"
            "cls.seq_relationship.weight f32[2, 3]\n");
  EXPECT_EQ(checkpoint.state.tensors.at("bert.encoder.layer.0.attention.self.query.weight").as_f32(),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST(Tf1, ObjectBasedCheckpointsAreRefused) {
  expect_error([] { open_checkpoint(data("tf1/objects")); }, ErrorCode::unsupported,
               "is an object-based checkpoint of TensorFlow 2, which numbers its variables");
}

// A table of one block.
std::string block(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out;
  for (const auto& [key, value] : entries)
    out +=
        std::string("\0", 1) + static_cast<char>(key.size()) + static_cast<char>(value.size()) + key + value;
  return out + test::little_endian(0, 4) + test::little_endian(1, 4);
}

std::string handle(size_t offset, size_t size) {
  std::string out;
  for (uint64_t value : {offset, size}) {
    while (value >= 128) {
      out += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out += static_cast<char>(value);
  }
  return out;
}

std::string table(const std::vector<std::pair<std::string, std::string>>& entries, char compression = 0) {
  const std::string body = block(entries);
  const std::string index = block({{"z", handle(0, body.size())}});
  std::string footer = handle(0, 0) + handle(body.size() + 5, index.size());
  footer.resize(40, '\0');
  return body + compression + "crc!" + index + std::string("\0crc!", 5) + footer +
         test::little_endian(0xdb4775248b80fb57, 8);
}

const std::string kHeader = "\x08\x01";

TEST(Tf1, AnIndexThatLiesIsRefused) {
  const auto refused = [](const std::string& bytes, const std::string& reason,
                          ErrorCode code = ErrorCode::invalid_file) {
    expect_error([&] { parse_tf1_index(bytes, "x.ckpt.index"); }, code, reason);
  };
  const std::string entry = std::string("\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08", 10);  // f32[2], 8 bytes.
  const Tf1Index good = parse_tf1_index(table({{"", kHeader}, {"a", entry}}), "x");
  EXPECT_EQ(good.entries.at("a").dims, Dims{2});
  refused("", "its magic number is missing");
  refused(std::string(48, '\0'), "its magic number is missing");
  refused(table({{"", kHeader}, {"a", entry}}, 1), "the table is compressed (method 1)",
          ErrorCode::unsupported);
  refused(table({{"a", entry}}), "header is missing");
  refused(table({{"", kHeader}}), "holds no variables");
  refused(table({{"", "\x08"}, {"a", entry}}), "header is broken");
  refused(table({{"", std::string("\x08\x01\x10\x01", 4)}, {"a", entry}}), "big-endian",
          ErrorCode::unsupported);
  refused(table({{"", kHeader}, {"a", "\x08\x07\x28\x08"}}), "TensorFlow's element type 7",
          ErrorCode::unsupported);
  refused(table({{"", kHeader}, {"a", entry.substr(0, 8) + "\x28\x09"}}),
          "variable \"a\": 9 bytes for f32[2]");
  refused(table({{"", kHeader}, {"a", entry + "\x3a\x00"}}), "its entry is broken");
  refused(table({{"", kHeader}, {"a", entry + std::string("\x3a\0", 2)}}), "is cut into slices",
          ErrorCode::unsupported);
  refused(table({{"", kHeader}, {"a", entry}, {"a", entry}}), "it is listed twice");
  refused(table({{"", kHeader}, {"a\xff", entry}}), "its name is not UTF-8");
  std::string bytes = table({{"", kHeader}, {"a", entry}});
  bytes[0] = 5;
  refused(bytes, "a broken entry in a block");
}

TEST(Tf1, DataFilesAreChecked) {
  const test::TempFolder folder;
  const std::string entry = std::string("\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08", 10);
  folder.write("x.ckpt.index", table({{"", kHeader}, {"a", entry}}));
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, "x.ckpt.data-00000-of-00001");
  folder.write("x.ckpt.data-00000-of-00001", "1234567");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::invalid_file,
               "8 bytes at 0 do not lie within the 7 there are");
  folder.write("x.ckpt.data-00000-of-00001", "12345678");
  EXPECT_EQ(test::to_text(open_checkpoint(folder.path()).state.tensors.at("a")), "12345678");
  folder.write("x.ckpt.index", table({{"", kHeader}, {"a", entry + "\x18\x05"}}));
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::invalid_file, "lies in data file 5 of 1");
}

}  // namespace
}  // namespace ferry::checkpoint
