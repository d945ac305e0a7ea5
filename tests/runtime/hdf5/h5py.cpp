// The promise "HDF5 that h5py reads", shown to h5py.
#include <gtest/gtest.h>

#include "runtime/hdf5/file.h"
#include "tests/support/python.h"
#include "tests/support/temporary_folder.h"

namespace tranche::hdf5 {
namespace {

TEST(H5py, ReadsEveryTypeAndAttribute) {
  const tranche::testing::TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  {
    File file = File::create(path);
    const std::vector<float> floats = {1.5f, -2.25f};
    file.create_dataset("f32", Type::float32, {1, 2}).write<float>(Box{{0, 0}, {1, 2}}, floats);
    const std::vector<bfloat16> brains = {from_float<bfloat16>(1.5f), from_float<bfloat16>(-0x1p127f)};
    file.create_dataset("bf16", Type::bfloat16, {2}).write<bfloat16>(0, brains);
    const std::vector<float16> halves = {from_float<float16>(1.5f), from_float<float16>(65504.0f)};
    file.create_dataset("f16", Type::float16, {2}).write<float16>(0, halves);
    const std::vector<std::uint16_t> tokens = {7, 65535};
    file.create_appendable("tokens", Type::uint16).append<std::uint16_t>(tokens);
    file.set_attribute("tokenizer", std::string{"byte"});
    file.set_attribute("step", std::int64_t{500});
    file.set_attribute("scale", 0.1);
    file.close();
  }
  EXPECT_EQ(tranche::testing::said_by_python(TRANCHE_H5PY, folder.path(), R"(
import h5py, sys
with h5py.File(sys.argv[1], "r") as f:
    for name in ["f32", "bf16", "f16", "tokens"]:
        print(name, f[name].dtype, f[name].shape, f[name][...].flatten().astype("float64").tolist(), f[name].fletcher32)
    print(f.attrs["tokenizer"].decode(), f.attrs["step"], f.attrs["scale"])
)",
                                             path.string()),
            "f32 float32 (1, 2) [1.5, -2.25] True\n"
            "bf16 float32 (2,) [1.5, -1.7014118346046923e+38] True\n"
            "f16 float16 (2,) [1.5, 65504.0] True\n"
            "tokens uint16 (2,) [7.0, 65535.0] True\n"
            "byte 500 0.1\n");
}

}  // namespace
}  // namespace tranche::hdf5
