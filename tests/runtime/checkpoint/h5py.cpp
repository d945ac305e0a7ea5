// Every tensor whole, under its own name, for any HDF5 reader: shown to h5py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/sha256.h"
#include "tests/runtime/checkpoint/sample.h"
#include "tests/support/python.h"
#include "tests/support/temporary_folder.h"

namespace tranche::checkpoint {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

const std::string script = R"(
import h5py, hashlib, sys
with h5py.File(sys.argv[1] + "/state.h5", "r") as f:
    print("step", f.attrs["step"])
    names = []
    f.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in sorted(names):
        print(name, f[name].dtype, f[name].shape, hashlib.sha256(f[name][...].tobytes()).hexdigest())
)";

std::string expected(int version) {
  std::map<std::string, std::string> lines;
  for (const UnitLayout& unit : sample_units())
    for (const StateTensor& tensor : unit.tensors)
      for (const std::string& kind : sample_kinds) {
        std::vector<float> values;
        for (std::size_t i = 0; i < tensor.shape.size(); ++i)
          values.push_back(sample_value(version, kind, tensor.name, i));
        Sha256 sha;
        sha.add(std::as_bytes(std::span{values}));
        std::string shape;
        for (const std::size_t size : tensor.shape.sizes()) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
        if (tensor.shape.dimensions() == 0) shape = "1";
        if (tensor.shape.dimensions() <= 1) shape += ",";
        lines[kind + "/" + tensor.name] = str(" float32 (", shape, ") ", sha.hex(), "\n");
      }
  std::string text = "step 100\n";
  for (const auto& [name, line] : lines) text += name + line;
  return text;
}

TEST(H5py, SeesEveryTensorWholeWhereverTheFolderIs) {
  for (const std::size_t ranks : {1, 2, 5}) {
    const testing::TemporaryFolder folder, elsewhere;
    ASSERT_THAT(save_sample(folder.path(), 1, ranks), Each(""));
    std::filesystem::rename(folder.path() / "step-000100", folder.path() / "moved");
    EXPECT_EQ(testing::said_by_python(TRANCHE_H5PY, elsewhere.path(), script, (folder.path() / "moved").string()),
              expected(1))
        << ranks;
  }
}

TEST(H5py, SeesNaNWhereAShardIsMissing) {
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path(), 1, 2), Each(""));
  std::filesystem::remove(folder.path() / "step-000100/tranche-0001-of-0002.h5");
  EXPECT_EQ(testing::said_by_python(TRANCHE_H5PY, folder.path(), R"(
import h5py, numpy, sys
with h5py.File(sys.argv[1] + "/step-000100/state.h5", "r") as f:
    x = f["parameters/mlp.weight"][...].flatten()
    cut = 4096 - 3 * 7 * 129 - 129 - 1
    print(numpy.isfinite(x[:cut]).all(), numpy.isnan(x[cut:]).all())
)",
                                    folder.path().string()),
            "True True\n");
}

}  // namespace
}  // namespace tranche::checkpoint
