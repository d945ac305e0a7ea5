// The GPU's part of the program: a library of its own, libtranche_cuda.so, so that a program without GPUs neither links
// nor loads anything of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tranche {

class Communicator;
class CpuDevice;
class Device;
namespace ops {
struct Kernels;
}

// What the library gives. It shares the program's classes, so it must be of the same sources and compiler: `version`
// and `build` are looked at before the rest.
struct CudaBackend {
  std::uint32_t version = 0;
  const char* build = "";

  // What this host has, "GPU 0 (name)". Throws no_gpu if that is nothing that can be used, saying why.
  std::vector<std::string> (*gpus)() = nullptr;
  // The GPU of this rank: as many as it is among the ranks of its host. capacity: bytes. Throws no_gpu, saying
  // what is amiss with driver or GPUs.
  std::unique_ptr<Device> (*make_device)(std::size_t rank_on_host, std::size_t ranks_on_host,
                                         std::size_t capacity) = nullptr;
  // Host memory that GPUs copy to and from while they compute. Tier::host.
  std::unique_ptr<CpuDevice> (*make_host)(std::size_t threads, std::size_t capacity) = nullptr;
  const ops::Kernels& (*kernels)() = nullptr;

  // What carries collectives of GPUs' memory: "NCCL 2.28.9". Empty: the library was built without.
  std::string (*collectives)() = nullptr;
  // By that, among the ranks of `on_host`, which has more than one; every rank's `device` is this library's and no
  // other's. Collective. runtime/comm/cuda/nccl_communicator.h
  std::unique_ptr<Communicator> (*make_communicator)(std::unique_ptr<Communicator> on_host, Device& device) = nullptr;
};
// One more with each change of what the two share.
inline constexpr std::uint32_t cuda_backend_version = 5;
inline constexpr const char* cuda_backend_build = "g++ " __VERSION__;  // the compiler
// The library's one entry, a function that returns const CudaBackend*.
inline constexpr const char* cuda_backend_entry = "tranche_cuda_backend";

// Where it is looked for: file names as dlopen takes them.
struct CudaLibraries {
  std::string driver;  // NVIDIA's
  std::string plugin;
};
// The plugin that TRANCHE_CUDA_PLUGIN names, or else libtranche_cuda.so beside the program.
CudaLibraries cuda_libraries();

// Loads the plugin, which stays for as long as the program runs. Without a driver it is not looked for. Throws no_gpu
// with the reason.
const CudaBackend& open_cuda_backend(const CudaLibraries& libraries = cuda_libraries());

}  // namespace tranche
