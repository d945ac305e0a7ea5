// Planted mistakes in what cuBLASLt is given: each is refused by the emulated library, or reported as an access.
#include <cublasLt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/ops/cuda/blas_linear.h"
#include "runtime/ops/cuda/cublas.h"
#include "tests/cuda_emulation/emulated_device.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/memory.h"

namespace tranche::cuda_emulation {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A product of (2, 3) and (3, 4) as the library is told of it, one call after another, so that a test can spoil one.
struct Told {
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t chosen{};
  EmulatedDevice device;
  Buffer memory[3] = {take(6), take(12), take(8)};

  Told() {
    cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 2, 3, 2);
    cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, 3, 4, 3);
    cublasLtMatrixLayoutCreate(&d, CUDA_R_32F, 2, 4, 2);
    cublasLtMatmulPreferenceCreate(&preference);
    const std::uint32_t none = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &none, sizeof none);
  }
  ~Told() {
    cublasLtMatmulDescDestroy(description);
    for (cublasLtMatrixLayout_t each : {a, b, d}) cublasLtMatrixLayoutDestroy(each);
    cublasLtMatmulPreferenceDestroy(preference);
  }
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;

  Buffer take(std::size_t count) { return device.allocate(count * sizeof(float), Category::activations, "matrix"); }
  void swap_layout(cublasLtMatrixLayout_t& layout, std::uint64_t rows, std::uint64_t columns, std::int64_t leading) {
    cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, rows, columns, leading);
  }
  cublasStatus_t choose() {
    int found = 0;
    return cublasLtMatmulAlgoGetHeuristic(nullptr, description, a, b, d, d, preference, 1, &chosen, &found);
  }
  cublasStatus_t multiply(std::size_t off = 0) {
    const float one = 1, zero = 0;
    std::byte* const result = memory[2].data() + off;
    return cublasLtMatmul(nullptr, description, &one, memory[0].data(), a, memory[1].data(), b, &zero, result, d,
                          result, d, &chosen.algo, nullptr, 0, nullptr);
  }
};

TEST(Blas, TakesWhatFits) {
  Told told;
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(told.multiply(), CUBLAS_STATUS_SUCCESS);
}

TEST(Blas, RefusesALeadingDimensionShorterThanAColumn) {
  Told told;
  told.swap_layout(told.a, 2, 3, 1);
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(Blas, RefusesMatricesThatDoNotGoTogether) {
  Told told;
  told.swap_layout(told.b, 4, 3, 4);
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(Blas, RefusesSumsInNoFixedOrder) {
  Told told;
  const std::uint32_t any = 0xffffffff;
  cublasLtMatmulPreferenceSetAttribute(told.preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &any, sizeof any);
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(Blas, RefusesTheAlgorithmOfAnotherProduct) {
  Told told;
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  const cublasLtEpilogue_t bias = CUBLASLT_EPILOGUE_BIAS;
  cublasLtMatmulDescSetAttribute(told.description, CUBLASLT_MATMUL_DESC_EPILOGUE, &bias, sizeof bias);
  EXPECT_EQ(told.multiply(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(Blas, RefusesOperandsThatAreAlignedWorseThanWasSaid) {
  Told told;
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);  // for 256 bytes, as nothing else was said
  EXPECT_EQ(told.multiply(4), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(Blas, RefusesABiasWithoutItsEpilogue) {
  Told told;
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  const void* const bias = told.memory[0].data();
  cublasLtMatmulDescSetAttribute(told.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
  EXPECT_EQ(told.multiply(), CUBLAS_STATUS_INVALID_VALUE);
}

// The same product with GELU, and what goes into it in memory of its own: (8, 3) times (3, 4).
struct ToldOfGelu : Told {
  Buffer before = take(32);

  ToldOfGelu() {
    swap_layout(a, 8, 3, 8);
    swap_layout(d, 8, 4, 8);
    memory[0] = take(24);
    memory[2] = take(32);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{8});
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, before.data());
  }
  template <class T> void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value);
  }
};

TEST(BlasGelu, TakesWhatFits) {
  ToldOfGelu told;
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(told.multiply(), CUBLAS_STATUS_SUCCESS);
}

TEST(BlasGelu, RefusesAnAuxiliaryOutputThatIsNone) {
  ToldOfGelu told;
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(nullptr));
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(BlasGelu, RefusesAnAuxiliaryLeadingDimensionThatIsShortOrNoMultipleOfEight) {
  for (const std::int64_t leading : {0, 4, 12}) {
    ToldOfGelu told;
    told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, leading);
    EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE) << leading;
  }
}

TEST(BlasGelu, RefusesAnAuxiliaryOutputThatIsMisalignedOrWorseThanWasSaid) {
  ToldOfGelu told;
  told.before = told.take(64);
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, told.before.data());
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, told.before.data() + 16);
  EXPECT_EQ(told.multiply(), CUBLAS_STATUS_INVALID_VALUE);
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, told.before.data() + 8);
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(BlasGelu, RefusesAnAuxiliaryOutputOfAnotherType) {
  ToldOfGelu told;
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, std::int32_t{CUDA_R_16F});
  EXPECT_EQ(told.choose(), CUBLAS_STATUS_INVALID_VALUE);
}

TEST(BlasGelu, AnAuxiliaryOutputThatIsTooSmallIsReported) {
  ToldOfGelu told;
  told.before = told.take(31);
  told.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, told.before.data());
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_THAT([&] { told.multiply(); }, ThrowsMessage<Fault>(HasSubstr("out-of-bounds write")));
}

TEST(Blas, AProductThatLeavesItsMatrixIsReported) {
  Told told;
  told.memory[2] = told.take(7);
  ASSERT_EQ(told.choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_THAT([&] { told.multiply(); },
              ThrowsMessage<Fault>(HasSubstr("out-of-bounds write of 1 bytes at byte 28 of the 28 of activations")));
}

// (8, 8) times (8, 8), in memory that is aligned to `alignment`.
bool activates(ops::Activation kind, DType dtype, std::size_t alignment) {
  EmulatedDevice device;
  std::vector<Buffer> memory;
  const auto matrix = [&] {
    memory.push_back(device.allocate(512, Category::activations, "matrix"));
    return ops::Elements{memory.back().data() + alignment % 256, dtype};
  };
  const ops::LinearForward product{
      .x = matrix(), .weight = matrix(), .bias = matrix(), .y = matrix(), .rows = 8, .in = 8, .out = 8};
  return ops::cuda::kernels_with_blas().linear.activated(device,
                                                         {.product = product, .kind = kind, .activated = matrix()});
}

// All else is computed by two kernels, whose arithmetic is the CPU's.
TEST(BlasGelu, IsTheLibrarysForTheTanhFormInHalfPrecisionAlone) {
  using ops::Activation;
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    EXPECT_TRUE(activates(Activation::gelu_tanh, dtype, 256));
    EXPECT_TRUE(activates(Activation::gelu_tanh, dtype, 16));
    EXPECT_FALSE(activates(Activation::gelu_tanh, dtype, 8));
    EXPECT_FALSE(activates(Activation::gelu_erf, dtype, 256));
    EXPECT_FALSE(activates(Activation::silu, dtype, 256));
  }
  EXPECT_FALSE(activates(Activation::gelu_tanh, DType::float32, 256));
}

// Where cuBLASLt has no algorithm the caller hears of it, and nothing was done.
TEST(Blas, TellsWhereThereIsNoAlgorithm) {
  EmulatedDevice device;
  const Buffer memory = device.allocate(64, Category::activations, "matrices");
  EXPECT_FALSE(ops::cuda::multiply({.dtype = DType::bfloat16,
                                    .transposes_a = false,
                                    .transposes_b = false,
                                    .adds = false,
                                    .m = 3,
                                    .n = 1,
                                    .k = 1,
                                    .a = memory.data(),
                                    .b = memory.data() + 16,
                                    .bias = nullptr,
                                    .d = memory.data() + 32},
                                   nullptr));
}

}  // namespace
}  // namespace tranche::cuda_emulation
