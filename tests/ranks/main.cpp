// Runs the tests on every rank. One report, by rank 0; the others speak only of failures; the program fails if one
// rank's tests did.
#include <gtest/gtest.h>

#include <iostream>

#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"
#include "tests/ranks/session.h"

namespace tranche::testing {
namespace {

MpiSession* the_session = nullptr;

class FailuresOfRank : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override { test_ = str(test.test_suite_name(), ".", test.name()); }
  void OnTestEnd(const ::testing::TestInfo&) override { test_ = "outside a test"; }
  // GoogleTest holds its lock meanwhile: asking it which test this is would wait for ever.
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::cerr << str("[rank ", session().rank(), "/", session().size(), "] ", test_, " ",
                     result.file_name() != nullptr ? result.file_name() : "", ":", result.line_number(), "\n",
                     result.message(), "\n");
  }

  std::string test_ = "outside a test";
};

}  // namespace

MpiSession& session() { return *the_session; }

}  // namespace tranche::testing

int main(int argc, char** argv) {
  using namespace tranche;
  ::testing::InitGoogleTest(&argc, argv);
  MpiSession session;
  tranche::testing::the_session = &session;
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (session.rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
    listeners.Append(new tranche::testing::FailuresOfRank);
  }
  const bool passed = RUN_ALL_TESTS() == 0;
  CpuDevice device;
  return session.communicator(device)->all_agree(passed, "tests passed") ? 0 : 1;
}
