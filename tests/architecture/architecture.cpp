// The tree keeps the rules, and each rule objects to what it is there for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/architecture/rules.h"

namespace tranche::architecture {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Source>& tree() {
  static const std::vector<Source> sources = read_tree(".");
  return sources;
}

template <class Rule> Violations over_the_tree(Rule&& rule) {
  Violations all;
  for (const Source& source : tree())
    for (std::string& each : rule(source)) all.push_back(std::move(each));
  return all;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Tree, IsRead) {
  EXPECT_TRUE(std::ranges::any_of(tree(), [](const Source& each) { return each.path == "runtime/base/error.h"; }));
  EXPECT_TRUE(std::ranges::any_of(tree(), [](const Source& each) { return each.path == "CMakeLists.txt"; }));
  EXPECT_TRUE(std::ranges::none_of(tree(), [](const Source& each) { return each.path.starts_with("build/"); }));
}

TEST(Tree, KeepsTheArrows) { EXPECT_THAT(over_the_tree(wrong_arrows), IsEmpty()); }

TEST(Tree, LinksAlongTheArrows) { EXPECT_THAT(over_the_tree(wrong_link_lines), IsEmpty()); }

TEST(Tree, UsesEachThirdPartyLibraryInOnePlace) { EXPECT_THAT(over_the_tree(foreign_headers), IsEmpty()); }

TEST(Tree, KeepsOneProcessorsCodeInOnePlace) { EXPECT_THAT(over_the_tree(processor_code), IsEmpty()); }

TEST(Tree, HasOneCompositionRoot) {
  std::set<std::string> present;
  for (const char* feature : {"partition", "offload", "amp", "compress"})
    for (const Source& source : tree())
      if (source.path.starts_with(std::string{feature} + "/") && source.path.ends_with(".h")) present.insert(feature);
  const std::vector<std::string> features{present.begin(), present.end()};
  EXPECT_THAT(over_the_tree([&](const Source& source) { return second_composition_root(source, features); }),
              IsEmpty());
}

TEST(Tree, HasFilesOfOneIdea) { EXPECT_THAT(over_the_tree(too_long), IsEmpty()); }

TEST(Tree, GuardsItsHeaders) { EXPECT_THAT(over_the_tree(unguarded_headers), IsEmpty()); }

TEST(Tree, IncludesEachHeaderFirstInItsOwnSource) {
  std::set<std::string> present;
  for (const Source& source : tree()) present.insert(source.path);
  EXPECT_THAT(over_the_tree([&](const Source& source) { return own_header_late(source, present); }), IsEmpty());
}

TEST(Tree, NamesNoMachine) { EXPECT_THAT(over_the_tree(machine_paths), IsEmpty()); }

TEST(Tree, HasTheFoldersOfTheDesign) { EXPECT_THAT(unknown_folders(top_level_folders(".")), IsEmpty()); }

TEST(Arrows, FeaturesDoNotKnowEachOtherNorTheProgram) {
  EXPECT_THAT(wrong_arrows({"amp/scaler.cpp", "#include <cmath>\n#include \"partition/plan.h\"\n"}),
              ElementsAre("amp/scaler.cpp:2: \"partition/plan.h\": features do not know each other"));
  EXPECT_THAT(wrong_arrows({"offload/disk.h", "#include \"launcher/job.h\"\n"}),
              ElementsAre(HasSubstr("a feature does not know the program")));
  EXPECT_THAT(wrong_arrows({"amp/scaler.cpp", "#include \"amp/scaler.h\"\n#include \"runtime/train/seams.h\"\n"}),
              IsEmpty());
}

TEST(Arrows, RuntimeKnowsNoFolderBesideIt) {
  EXPECT_THAT(wrong_arrows({"runtime/train/step.cpp", "  # include \"partition/plan.h\"\n"}),
              ElementsAre(HasSubstr("runtime knows no folder beside it")));
  EXPECT_THAT(wrong_arrows({"runtime/train/step.cpp", "#include \"launcher/job.h\"\n"}), testing::SizeIs(1));
}

TEST(Arrows, RoomsKnowOnlyWhatLiesBelow) {
  const auto room = [](const std::string& from, const std::string& to) {
    return wrong_arrows({"runtime/" + from + "/a.cpp", "#include \"runtime/" + to + "/b.h\"\n"});
  };
  EXPECT_THAT(room("train", "base"), IsEmpty());
  EXPECT_THAT(room("train", "optim"), IsEmpty());
  EXPECT_THAT(room("train", "comm"), IsEmpty());
  EXPECT_THAT(room("checkpoint", "hdf5"), IsEmpty());
  EXPECT_THAT(room("checkpoint", "comm"), testing::SizeIs(1));
  EXPECT_THAT(room("ops", "autograd"), ElementsAre(HasSubstr("'ops' does not know 'autograd'")));
  EXPECT_THAT(room("backend", "ops"), IsEmpty());
  EXPECT_THAT(room("backend", "comm"), IsEmpty());
  EXPECT_THAT(room("ops", "backend"), ElementsAre(HasSubstr("'ops' does not know 'backend'")));
  EXPECT_THAT(room("comm", "backend"), testing::SizeIs(1));
  EXPECT_THAT(room("nn", "comm"), ElementsAre(HasSubstr("'nn' does not know 'comm'")));
  EXPECT_THAT(room("comm", "tensor"), testing::SizeIs(1));
  EXPECT_THAT(room("data", "device"), testing::SizeIs(1));
  EXPECT_THAT(room("optim", "comm"), testing::SizeIs(1));
  EXPECT_THAT(room("base", "device"), testing::SizeIs(1));
  EXPECT_THAT(room("attic", "base"), ElementsAre(HasSubstr("no room of runtime")));
}

TEST(Arrows, NothingKnowsTheTests) {
  EXPECT_THAT(wrong_arrows({"launcher/main.cpp", "#include \"tests/support/temporary_folder.h\"\n"}),
              ElementsAre(HasSubstr("is a test's")));
  EXPECT_THAT(wrong_arrows({"tests/ranks/a.cpp", "#include \"tests/support/temporary_folder.h\"\n"}), IsEmpty());
}

TEST(Arrows, IncludesAreWrittenFromTheRoot) {
  EXPECT_THAT(wrong_arrows({"runtime/base/error.cpp", "#include \"error.h\"\n"}),
              ElementsAre(HasSubstr("not written from the root")));
}

TEST(Arrows, LinkLinesFollowThem) {
  EXPECT_THAT(wrong_link_lines({"runtime/optim/CMakeLists.txt", "tranche_room(optim DEPENDS nn LIBRARIES train)\n"}),
              IsEmpty());
  EXPECT_THAT(wrong_link_lines({"runtime/ops/CMakeLists.txt", "tranche_room(ops\n  FOLDERS cpu DEPENDS tensor nn)\n"}),
              ElementsAre(HasSubstr("DEPENDS nn: 'ops' does not know 'nn'")));
  EXPECT_THAT(wrong_link_lines({"amp/CMakeLists.txt", "tranche_room(amp DEPENDS train partition)\n"}),
              testing::SizeIs(1));
}

TEST(ThirdParty, HeadersStayWithTheirOwner) {
  const auto included = [](const std::string& path, const std::string& header) {
    return foreign_headers({path, "#include <" + header + ">\n"});
  };
  EXPECT_THAT(included("runtime/comm/mpi_communicator.cpp", "mpi.h"), IsEmpty());
  EXPECT_THAT(included("runtime/train/loop.cpp", "mpi.h"), ElementsAre(HasSubstr("belongs to runtime/comm/")));
  EXPECT_THAT(included("runtime/checkpoint/load.cpp", "hdf5.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/checkpoint/load.cpp", "H5Dpublic.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/nn/linear.cpp", "dnnl.hpp"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/nn/linear.cpp", "oneapi/dnnl/dnnl.hpp"), testing::SizeIs(1));
  EXPECT_THAT(included("launcher/job.cpp", "nlohmann/json.hpp"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/base/options.cpp", "CLI/CLI.hpp"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/models/gpt2.cpp", "sentencepiece_processor.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/models/gpt2.cpp", "pcre2.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/checkpoint/digest.cpp", "openssl/evp.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/checkpoint/digest.cpp", "xxhash.h"), testing::SizeIs(1));
  EXPECT_THAT(included("partition/plan.cpp", "spdlog/spdlog.h"), testing::SizeIs(1));
  EXPECT_THAT(included("partition/gather.cpp", "nccl.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/tensor/tensor.cpp", "cuda_runtime.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/ops/cuda/norm.cu", "cuda_runtime.h"), IsEmpty());
  EXPECT_THAT(included("runtime/base/error.cpp", "gtest/gtest.h"), testing::SizeIs(1));
  EXPECT_THAT(included("runtime/base/error.cpp", "vector"), IsEmpty());
}

TEST(Processors, CodeForOneStaysWithTheInstructionPaths) {
  for (const char* line :
       {"#include <immintrin.h>", "#include <x86intrin.h>", "#include <cpuid.h>", "#include <arm_neon.h>",
        "  const __m512 x = y;", "__m256i x;", "  a = _mm512_fmadd_ps(a, b, c);", "_mm_pause();",
        "  __builtin_ia32_pause();", "if (__builtin_cpu_supports(\"avx2\"))",
        "[[gnu::target_clones(\"avx2\")]] int f();", "[[gnu::target(\"avx2\")]] int f();", "asm(\"pause\");",
        "#ifdef __AVX512F__", "#if defined(__x86_64__)"}) {
    EXPECT_THAT(processor_code({"runtime/comm/futex.cpp", line}), testing::SizeIs(1)) << line;
    EXPECT_THAT(processor_code({"tests/bench/ceilings.cpp", line}), testing::SizeIs(1)) << line;
    EXPECT_THAT(processor_code({"runtime/ops/cpu/paths/x86_64.cpp", line}), IsEmpty()) << line;
  }
  EXPECT_THAT(processor_code({"amp/CMakeLists.txt", "add_compile_options(-mavx2)"}), testing::SizeIs(1));
  EXPECT_THAT(processor_code({".cmake/Settings.cmake", "add_compile_options(-march=native)"}), testing::SizeIs(1));
  EXPECT_THAT(processor_code({"runtime/ops/CMakeLists.txt", "-march=x86-64-v3"}), IsEmpty());
  for (const char* line : {"// as wide as __BIGGEST_ALIGNMENT__", "__builtin_memcpy(a, b, c);", "int dasm(int);",
                           "typedef float Register __attribute__((vector_size(64)));", "target_compile_options(x)"})
    EXPECT_THAT(processor_code({"runtime/ops/cpu/panel.cpp", line}), IsEmpty()) << line;
}

TEST(CompositionRoot, IsOneFile) {
  const std::string both = "#include \"amp/amp.h\"\n#include \"partition/plan.h\"\n";
  EXPECT_THAT(second_composition_root({"launcher/train.cpp", both}, {"amp", "partition"}), testing::SizeIs(1));
  EXPECT_THAT(second_composition_root({"launcher/train.cpp", both}, {"amp", "compress", "partition"}), IsEmpty());
  const std::string keys = "#include \"amp/config.h\"\n#include \"partition/config.h\"\n";
  EXPECT_THAT(second_composition_root({"launcher/job.h", keys}, {"amp", "partition"}), IsEmpty());
  EXPECT_THAT(second_composition_root({"launcher/assemble.cpp", both}, {"amp", "partition"}), IsEmpty());
}

TEST(Length, IsThatOfOneIdea) {
  EXPECT_THAT(too_long({"runtime/base/a.h", repeated("\n", 401)}), testing::SizeIs(1));
  EXPECT_THAT(too_long({"runtime/base/a.h", repeated("\n", 400)}), IsEmpty());
  EXPECT_THAT(too_long({"runtime/base/a.cpp", repeated("\n", 601)}), testing::SizeIs(1));
  EXPECT_THAT(too_long({"runtime/base/a.cpp", repeated("\n", 600)}), IsEmpty());
  EXPECT_THAT(too_long({"docs/keys.md", repeated("\n", 900)}), IsEmpty());
}

TEST(Headers, AreGuarded) {
  EXPECT_THAT(unguarded_headers({"amp/a.h", "int x();\n"}), testing::SizeIs(1));
  EXPECT_THAT(unguarded_headers({"amp/a.h", "// a\n#pragma once\n"}), IsEmpty());
}

TEST(Headers, AreFirstInTheirOwnSource) {
  const std::set<std::string> present{"amp/a.h", "amp/a.cpp", "amp/main.cpp"};
  EXPECT_THAT(own_header_late({"amp/a.cpp", "// a\n#include \"amp/a.h\"\n\n#include <cmath>\n"}, present), IsEmpty());
  EXPECT_THAT(own_header_late({"amp/a.cpp", "#include <cmath>\n\n#include \"amp/a.h\"\n"}, present),
              testing::SizeIs(1));
  EXPECT_THAT(own_header_late({"amp/a.cpp", "int x;\n"}, present), testing::SizeIs(1));
  EXPECT_THAT(own_header_late({"amp/main.cpp", "#include <cmath>\n"}, present), IsEmpty());
}

TEST(Machines, AreNotNamed) {
  EXPECT_THAT(machine_paths({"docs/a.md", std::string{"see /"} + "work/shared/data\n"}), testing::SizeIs(1));
  EXPECT_THAT(machine_paths({"configs/a.json", std::string{"/"} + "home/me/model.json\n"}), testing::SizeIs(1));
  EXPECT_THAT(machine_paths({"docs/a.md", "a network / work / shared\n"}), IsEmpty());
}

TEST(Folders, AreTheDesigns) {
  EXPECT_THAT(unknown_folders({".ci", "amp", "cmake", "runtime"}), ElementsAre(HasSubstr("cmake/")));
}

}  // namespace
}  // namespace tranche::architecture
