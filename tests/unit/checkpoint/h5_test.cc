#include "checkpoint/keras_h5.h"

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "unit/checkpoint/make_files.h"

namespace ferry::checkpoint {
namespace {
using test::data;
using test::expect_error;

TensorFile read(const std::string& name) {
  return read_keras_h5(file_source(data("h5/" + name)), name);
}

TEST(H5, EveryEncodingHoldsTheSameWeights) {
  const auto plain = read("plain.h5").tensors;
  ASSERT_EQ(plain.size(), 5u);
  EXPECT_EQ(plain.at("model/norm/scale:0").as_f32(), std::vector<float>{2.5f});
  EXPECT_EQ(plain.at("model/encoder/dense/bias:0").as_f32(), (std::vector<float>{0, 1, 2, 3, 4}));
  EXPECT_EQ(plain.at("model/encoder/dense/kernel:0").dims(), (Dims{3, 5}));
  EXPECT_TRUE(plain.at("model/encoder/dense/kernel:0").file_range().has_value())
      << "contiguous data is not copied";
  for (const std::string name :
       {"fixed_strings.h5", "utf8_strings.h5", "latest.h5", "v110.h5", "model_weights.h5", "big_endian.h5"}) {
    SCOPED_TRACE(name);
    test::expect_same_tensors(read(name).tensors, plain);
  }
  // These lack the scalar: chunks and split attributes were written without it.
  for (const std::string name : {"gzip_shuffle.h5", "chunked_attributes.h5"}) {
    SCOPED_TRACE(name);
    auto wanted = plain;
    wanted.erase("model/norm/scale:0");
    test::expect_same_tensors(read(name).tensors, wanted);
  }
}

TEST(H5, GroupsAndAttributesInFractalHeapsAreRead) {
  const auto file = read("dense.h5");
  ASSERT_EQ(file.tensors.size(), 60u);
  for (int i = 0; i < 60; ++i) {
    const std::string name = fmt::format("model/layer_with_a_long_name_{}/bias:0", i);
    EXPECT_EQ(file.tensors.at(name).as_f32(), std::vector<float>{static_cast<float>(i)});
  }
}

TEST(H5, OtherFloatsKeepTheirType) {
  const auto plain = read("plain.h5").tensors;
  for (const auto& [name, weight] : read("float16.h5").tensors) {
    EXPECT_EQ(weight.dtype(), DType::f16);
    EXPECT_EQ(weight.bytes(), plain.at(name).cast(DType::f16).bytes()) << name;
  }
  for (const auto& [name, weight] : read("float64.h5").tensors) {
    EXPECT_EQ(weight.dtype(), DType::f64);
    EXPECT_EQ(weight.cast(DType::f32).bytes(), plain.at(name).bytes()) << name;
  }
}

TEST(H5, ChunksAreReadInAnyRange) {
  const Weight weight = read("gzip_shuffle.h5").tensors.at("model/encoder/dense/kernel:0");
  const auto all = weight.as_f32();
  for (uint64_t first = 0; first < all.size(); ++first) {
    for (uint64_t count = 1; first + count <= all.size(); ++count) {
      std::vector<float> part(count);
      weight.read(first, count, reinterpret_cast<std::byte*>(part.data()));
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(first)));
    }
  }
}

TEST(H5, WhatLeavesTheFileIsRefused) {
  const auto refused = [](const std::string& name, ErrorCode code, const std::string& text) {
    expect_error([&] { read("hostile/" + name); }, code, text);
  };
  refused("external_link_dataset.h5", ErrorCode::unsupported,
          "\"kernel:0\" is an external link, which ferry does not follow");
  refused("external_link_group.h5", ErrorCode::unsupported,
          "\"model\" is an external link, which ferry does not follow");
  refused("soft_link.h5", ErrorCode::unsupported, "\"model\" is a soft link");
  refused("external_storage.h5", ErrorCode::unsupported, "its data lies in another file");
  refused("virtual.h5", ErrorCode::unsupported, "a virtual dataset");
}

TEST(H5, WhatIsNoWeightIsRefused) {
  const auto refused = [](const std::string& name, ErrorCode code, const std::string& text) {
    expect_error([&] { read(name); }, code, text);
  };
  refused("hostile/strings.h5", ErrorCode::unsupported, "its elements are not plain numbers");
  refused("hostile/compound.h5", ErrorCode::unsupported, "its elements are not plain numbers");
  refused("hostile/missing.h5", ErrorCode::invalid_file,
          "\"encoder/model/encoder/dense/kernel:0\": there is no such dataset");
  refused("hostile/group_as_dataset.h5", ErrorCode::invalid_file, "not a dataset");
  refused("hostile/huge_unwritten.h5", ErrorCode::unsupported, "its data was never written");
  refused("hostile/huge_chunk.h5", ErrorCode::invalid_file, "its chunks have more than");
  refused("lzf.h5", ErrorCode::unsupported, "is encoded by filter 32000");
}

TEST(H5, TruncatedFilesAreRefused) {
  for (const std::string name : {"plain.h5", "latest.h5", "gzip_shuffle.h5"}) {
    const std::string good = test::read_file(data("h5/" + name));
    EXPECT_NO_THROW(read_keras_h5(test::bytes_of(good), name));
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_THROW(read_keras_h5(test::bytes_of(good.substr(0, size)), name), Error) << name << " " << size;
    }
  }
}

TEST(H5, DamagedBytesNeverDoMoreThanThrow) {
  uint32_t random = 1;
  const std::string old_style = test::read_file(data("h5/gzip_shuffle.h5")),
                    new_style = test::read_file(data("h5/latest.h5"));
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = i % 2 == 0 ? old_style : new_style;
    for (int k = 0; k < 3; ++k) {
      random = random * 1664525 + 1013904223;
      bytes[random % bytes.size()] = static_cast<char>(random >> 24);
    }
    try {
      for (const auto& [name, weight] : read_keras_h5(test::bytes_of(bytes), "x").tensors)
        (void)weight.bytes();
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace ferry::checkpoint
