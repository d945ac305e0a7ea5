#include "runtime/backend/cuda_backend.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runtime/device/no_gpu.h"

namespace tranche {
namespace {

std::string last_error() {
  const char* text = ::dlerror();
  return text == nullptr ? "no reason given" : text;
}

}  // namespace

CudaLibraries cuda_libraries() {
  const char* const named = std::getenv("TRANCHE_CUDA_PLUGIN");
  const auto beside = [] {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libtranche_cuda.so";
  };
  return {.driver = "libcuda.so.1", .plugin = named != nullptr ? std::string{named} : beside().string()};
}

const CudaBackend& open_cuda_backend(const CudaLibraries& libraries) {
  // The driver tells whether it is worth while: the plugin brings NVIDIA's libraries, which take their time.
  void* const driver = ::dlopen(libraries.driver.c_str(), RTLD_LAZY | RTLD_LOCAL);
  ensure(no_gpu, driver != nullptr, "no GPU can be used: there is no NVIDIA driver (", last_error(), ")");
  const std::string& plugin = libraries.plugin;
  void* const opened = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  ensure(no_gpu, opened != nullptr, "no GPU can be used: ", plugin, " does not load (", last_error(),
         "); it lies beside the program, or TRANCHE_CUDA_PLUGIN names it");
  using Entry = const CudaBackend* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(opened, cuda_backend_entry));
  ensure(no_gpu, entry != nullptr, "no GPU can be used: ", plugin, " is no plugin of this program");
  const CudaBackend& backend = *entry();
  ensure(no_gpu, backend.version == cuda_backend_version, "no GPU can be used: ", plugin, " has interface ",
         backend.version, ", and this program ", cuda_backend_version, ": build both anew");
  ensure(no_gpu, std::strcmp(backend.build, cuda_backend_build) == 0, "no GPU can be used: ", plugin, " was built by ",
         backend.build, ", and this program by ", cuda_backend_build, ": build both anew");
  return backend;
}

}  // namespace tranche
