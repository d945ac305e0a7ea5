#include "runtime/device/cuda/nvtx_ranges.h"

#include <nvtx3/nvToolsExt.h>

#include "runtime/base/trace.h"

namespace tranche::cuda {
namespace {

nvtxDomainHandle_t domain = nullptr;  // a tool's; null: none listens

std::uint32_t category_of(trace::Kind kind) { return 1 + static_cast<std::uint32_t>(kind); }  // 0 is none

void begin(const trace::Event& event) {
  char text[256];
  text[event.name({text, sizeof text - 1}).size()] = '\0';
  nvtxEventAttributes_t attributes{};
  attributes.version = NVTX_VERSION;
  attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  attributes.category = category_of(event.kind);
  attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
  attributes.message.ascii = text;
  if (event.bytes != 0) {
    attributes.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
    attributes.payload.ullValue = event.bytes;
  }
  nvtxDomainRangePushEx(domain, &attributes);
}

void end() { nvtxDomainRangePop(domain); }

constexpr trace::Listener listener{.begin = begin, .end = end};

}  // namespace

void show_spans_to_tools() {
  if (domain != nullptr) return;
  domain = nvtxDomainCreateA("tranche");
  if (domain == nullptr) return;
  for (std::size_t kind = 0; kind < trace::kind_count; ++kind) {
    const auto each = static_cast<trace::Kind>(kind);
    nvtxDomainNameCategoryA(domain, category_of(each), trace::name_of(each).data());
  }
  trace::tell(&listener);
}

}  // namespace tranche::cuda
