#include "offload/disk_slices.h"

#include "runtime/base/round.h"

namespace tranche {
namespace {
constexpr std::size_t page = SwapFile::alignment;
}

// After a failure transfers may be under way, which use what the slices hold.
DiskSlices::~DiskSlices() {
  for (const Slice& slice : slices_) {
    wait_quietly(slice.read);
    wait_quietly(slice.last_page_written);
  }
}

std::size_t DiskSlices::bytes_of(const Slice& slice) const {
  return slice.shape.size() * tranche::bytes_of(slice.dtype);
}

void DiskSlices::adopt(const Unit& unit, std::size_t elements, DType dtype) {
  check(unit.index() == slices_.size(), unit.name(), " is adopted out of order");
  Slice slice{.shape = {1, elements}, .dtype = dtype};
  const std::size_t bytes = bytes_of(slice);
  slice.offset = disk_.extend(padded(bytes, page), Category::parameters, unit.name() + " slice");
  if (bytes % page != 0)
    slice.last_page = Tensor::zeros(host_, unit.name() + " slice's end", Category::communication,
                                    {1, page / tranche::bytes_of(dtype)}, dtype);
  slices_.push_back(std::move(slice));
}

void DiskSlices::fetch(const Unit& unit) {
  Slice& slice = slices_[unit.index()];
  check(!slice.on_host && !slice.on_device, unit.name(), " is fetched twice");
  const std::size_t whole_pages = padded(bytes_of(slice), page) / tranche::bytes_of(slice.dtype);
  slice.on_host =
      Tensor::empty(host_, unit.name() + " slice from disk", Category::communication, {1, whole_pages}, slice.dtype);
  slice.read = disk_.read(slice.offset, slice.on_host.byte_span());
}

std::span<const std::byte> DiskSlices::fetched(const Unit& unit) {
  Slice& slice = slices_[unit.index()];
  if (slice.on_host) {
    wait_for(slice.read);
    slice.on_device =
        Tensor::empty(device_, unit.name() + " slice from the host", Category::communication, slice.shape, slice.dtype);
    copies_->copy(slice.on_host.byte_span().first(bytes_of(slice)), slice.on_device.byte_span()).wait();
    slice.on_host = {};
  }
  return slice.on_device.byte_span();
}

void DiskSlices::evict(const Unit& unit) {
  Slice& slice = slices_[unit.index()];
  wait_for(slice.read);
  slice.on_host = slice.on_device = {};
}

Event DiskSlices::write(const Unit& unit, std::size_t first, const Tensor& from) {
  Slice& slice = slices_[unit.index()];
  const std::uint64_t begin = first * tranche::bytes_of(slice.dtype);
  const std::span<const std::byte> bytes = from.byte_span();
  const std::size_t whole = bytes.size() / page * page, rest = bytes.size() - whole;
  check(begin % page == 0 && (rest == 0 || begin + bytes.size() == bytes_of(slice)), unit.name(), ": ", bytes.size(),
        " bytes from ", begin, " on are no pages of a disk");
  const Event pages = whole != 0 ? disk_.write(slice.offset + begin, bytes.first(whole)) : Event{};
  if (rest == 0) return pages;
  wait_for(slice.last_page_written);
  copies_->copy(bytes.last(rest), slice.last_page.byte_span().first(rest)).wait();
  slice.last_page_written = disk_.write(slice.offset + begin + whole, slice.last_page.byte_span());
  return Event::deferred([pages, last = slice.last_page_written] {
    pages.wait();
    last.wait();
  });
}

}  // namespace tranche
