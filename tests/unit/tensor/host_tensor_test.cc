#include "tensor/host_tensor.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace ferry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(HostTensor, FactoriesCheckTheNumberOfValues) {
  EXPECT_THAT(HostTensor::f32({2, 1}, {1, 2}).as<float>(), ElementsAre(1, 2));
  EXPECT_THAT(HostTensor::boolean({2}, {true, false}).as<bool>(), ElementsAre(true, false));
  EXPECT_EQ(HostTensor::scalar(int64_t{7}).dims, Dims{});
  EXPECT_EQ(HostTensor::zeros(DType::i4, {3}).bytes.size(), 2u);
  EXPECT_EQ(code_of([] { HostTensor::f32({2, 2}, {1, 2}); }), ErrorCode::shape_mismatch);
  EXPECT_EQ(code_of([] { HostTensor::zeros(DType::f32, {-1}); }), ErrorCode::shape_mismatch);
  EXPECT_EQ(code_of([] {
              HostTensor::zeros(DType::f32, {int64_t{1} << 40, int64_t{1} << 40});
            }),
            ErrorCode::shape_mismatch);
  EXPECT_EQ(code_of([] { HostTensor::text({3}, {"a"}); }), ErrorCode::shape_mismatch);
}

TEST(HostTensor, ElementsAreSeenAsWhatTheyAre) {
  const HostTensor tensor = HostTensor::i64({2}, {1, 2});
  EXPECT_EQ(code_of([&] { (void)tensor.as<float>(); }), ErrorCode::dtype_mismatch);
  EXPECT_EQ(code_of([&] { (void)tensor.as<int32_t>(); }), ErrorCode::dtype_mismatch);
  const HostTensor half = HostTensor::f32({2}, {1.5f, -2}).to_floating(DType::f16);
  EXPECT_THAT(half.as<uint16_t>(), ElementsAre(0x3E00, 0xC000));
  EXPECT_THAT(half.to_f32().as<float>(), ElementsAre(1.5f, -2));
  EXPECT_THAT(HostTensor::boolean({2}, {true, false}).to_i64().as<int64_t>(), ElementsAre(1, 0));
  EXPECT_THAT(HostTensor::i32({2}, {-3, 4}).to_f32().as<float>(), ElementsAre(-3, 4));
}

TEST(HostTensor, ReshapesAndDescribesItself) {
  const HostTensor tensor = HostTensor::f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(tensor.reshaped({3, 2}).describe(), "f32[3, 2]");
  EXPECT_EQ(code_of([&] { (void)tensor.reshaped({4}); }), ErrorCode::shape_mismatch);
  const Weight weight = Weight::from_f32({2, 2}, std::vector<float>{1, 2, 3, 4});
  EXPECT_THAT(HostTensor::from_weight(weight.transpose()).as<float>(), ElementsAre(1, 3, 2, 4));
}

}  // namespace
}  // namespace ferry
