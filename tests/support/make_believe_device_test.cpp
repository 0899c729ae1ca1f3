#include "tests/support/make_believe_device.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mformer::testing {
namespace {

at::Tensor numbers() {
  return at::arange(12, at::kFloat).view({3, 4});
}

TEST(MakeBelieveDevice, ComputesWhatTheCpuComputes) {
  const at::Tensor x = numbers(), there = x.to(make_believe_device());
  EXPECT_EQ(there.device(), make_believe_device());
  const at::Tensor y = (there.t().matmul(there) * 2.0 + 1.0).softmax(-1);
  EXPECT_EQ(y.device(), make_believe_device());
  EXPECT_TRUE(y.cpu().equal((x.t().matmul(x) * 2.0 + 1.0).softmax(-1)));
}

TEST(MakeBelieveDevice, KnowsViewsAndChangesInPlace) {
  at::Tensor there = numbers().to(make_believe_device());
  there.narrow(1, 1, 2).t().mul_(-1.0);
  there[2].zero_();
  at::Tensor expected = numbers();
  expected.narrow(1, 1, 2).mul_(-1.0);
  expected[2].zero_();
  EXPECT_TRUE(there.cpu().equal(expected));
  EXPECT_TRUE(there.index_select(1, at::tensor({3, 0}, there.options().dtype(at::kLong)))
                  .cpu()
                  .equal(expected.index_select(1, at::tensor({3, 0}))));
}

TEST(MakeBelieveDevice, Differentiates) {
  const at::Tensor x = numbers().requires_grad_(), there = numbers().to(make_believe_device()).requires_grad_();
  (x * x).sum().backward();
  (there * there).sum().backward();
  EXPECT_EQ(there.grad().device(), make_believe_device());
  EXPECT_TRUE(there.grad().cpu().equal(x.grad()));
}

TEST(MakeBelieveDevice, CountsItsBytesAndTheirPeak) {
  const std::int64_t before = make_believe_bytes();
  reset_make_believe_peak();
  {
    const at::Tensor a = at::empty({1000}, at::TensorOptions(make_believe_device()));
    const at::Tensor b = at::empty({500}, a.options().dtype(at::kDouble));
    EXPECT_EQ(make_believe_bytes() - before, 8000);
  }
  EXPECT_EQ(make_believe_bytes(), before);
  EXPECT_EQ(make_believe_peak() - before, 8000);
}

TEST(MakeBelieveDevice, CountsWhereAHostWouldWait) {
  const std::int64_t start = make_believe_waits();
  const at::Tensor there = numbers().to(make_believe_device());
  EXPECT_EQ(make_believe_waits() - start, 1);
  const at::Tensor y = (there * 2).sum(1).to(at::kDouble).clone();
  EXPECT_EQ(make_believe_waits() - start, 1);
  y.cpu();
  EXPECT_EQ(make_believe_waits() - start, 2);
  y.sum().item<double>();
  EXPECT_EQ(make_believe_waits() - start, 3);
  there.nonzero();
  EXPECT_EQ(make_believe_waits() - start, 4);
}

TEST(MakeBelieveDevice, OpensItsMemoryToTestsThatAsk) {
  const at::Tensor there = numbers().to(make_believe_device());
  const OpenMemory open({there});
  EXPECT_EQ(there.const_data_ptr<float>()[7], 7.0F);
}

TEST(MakeBelieveDevice, EndsAProcessThatReadsItsMemory) {
  const at::Tensor there = numbers().to(make_believe_device());
  const auto read = [&] { std::exit(there.const_data_ptr<float>()[7] == 7.0F ? 0 : 1); };
  // A matcher of words, as no regular expression must be read: in a program with Oniguruma regcomp() is another
  // function.
  EXPECT_EXIT(read(), ::testing::KilledBySignal(SIGSEGV), ::testing::A<const std::string&>());
}

TEST(MakeBelieveDevice, RefusesToMixDevicesButForScalars) {
  const at::Tensor x = numbers(), there = x.to(make_believe_device());
  EXPECT_THROW(x + there, c10::Error);
  EXPECT_THROW(there + x, c10::Error);
  EXPECT_THROW(there.index_select(0, at::tensor({1})), c10::Error);
  EXPECT_THROW(at::cat({there, x}), c10::Error);
  EXPECT_THROW(at::cat({x, there}), c10::Error);
  EXPECT_TRUE((there * at::scalar_tensor(2.0)).cpu().equal(x * 2.0));
}

}  // namespace
}  // namespace mformer::testing
