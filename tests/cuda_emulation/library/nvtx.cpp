// A tool that listens to NVTX where TRANCHE_EMULATED_TOOL names a file, to which the process's number is added: a line
// for each range as it begins, "thread depth category bytes name". It ends the program at a range that is not as NVTX
// wants it, at an end without a beginning, and at ranges that are open when the program ends.
#include <nvtx3/nvToolsExt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

struct nvtxDomainRegistration_st {
  std::string name;
  std::map<std::uint32_t, std::string> categories;
  std::FILE* file = nullptr;
};

namespace {

struct Tool {
  std::mutex mutex;
  nvtxDomainRegistration_st domain;
  std::size_t threads = 0, open = 0;
};
Tool& tool() {
  static Tool* const all = new Tool;  // outlives whoever says goodbye late
  return *all;
}

struct Thread {
  std::size_t number = tool().threads++;
  std::size_t depth = 0;
};
Thread& this_thread() {
  thread_local Thread thread;
  return thread;
}

[[noreturn]] void stop(const std::string& what) {
  std::fprintf(stderr, "emulated NVTX: %s\n", what.c_str());
  std::fflush(nullptr);
  ::_exit(70);
}

[[gnu::destructor]] void tell_open_ranges() {
  if (tool().open != 0) stop(std::to_string(tool().open) + " ranges are open as the program ends");
}

std::string flaw_of(nvtxDomainHandle_t domain, const nvtxEventAttributes_t& range) {
  if (domain != &tool().domain || domain->file == nullptr) return "a domain that no tool made";
  if (range.version != NVTX_VERSION || range.size != sizeof range) return "attributes of another version";
  if (!domain->categories.contains(range.category)) return "a category without a name";
  if (range.messageType != NVTX_MESSAGE_TYPE_ASCII || range.message.ascii == nullptr || *range.message.ascii == '\0')
    return "a range without a name";
  return {};
}

}  // namespace

nvtxDomainHandle_t nvtxDomainCreateA(const char* name) {
  const char* const path = std::getenv("TRANCHE_EMULATED_TOOL");
  if (path == nullptr) return nullptr;  // as NVIDIA's without a tool
  const std::lock_guard lock{tool().mutex};
  nvtxDomainRegistration_st& domain = tool().domain;
  if (domain.file != nullptr) stop("a second domain");
  domain.name = name;
  domain.file = std::fopen((std::string{path} + "." + std::to_string(::getpid())).c_str(), "w");
  if (domain.file == nullptr) stop(std::string{path} + " cannot be written");
  std::setvbuf(domain.file, nullptr, _IOLBF, 4096);
  return &domain;
}

void nvtxDomainNameCategoryA(nvtxDomainHandle_t domain, std::uint32_t category, const char* name) {
  const std::lock_guard lock{tool().mutex};
  domain->categories[category] = name;
}

int nvtxDomainRangePushEx(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* range) {
  const std::lock_guard lock{tool().mutex};
  if (const std::string flaw = flaw_of(domain, *range); !flaw.empty()) stop(flaw);
  Thread& thread = this_thread();
  std::fprintf(
      domain->file, "%zu %zu %s %llu %s\n", thread.number, thread.depth, domain->categories[range->category].c_str(),
      range->payloadType == NVTX_PAYLOAD_UNKNOWN ? 0ull : static_cast<unsigned long long>(range->payload.ullValue),
      range->message.ascii);
  ++tool().open;
  return static_cast<int>(thread.depth++);
}

int nvtxDomainRangePop(nvtxDomainHandle_t domain) {
  const std::lock_guard lock{tool().mutex};
  if (domain != &tool().domain) stop("an end in another domain");
  Thread& thread = this_thread();
  if (thread.depth == 0) stop("a range ends that did not begin on this thread");
  --tool().open;
  return static_cast<int>(--thread.depth);
}
