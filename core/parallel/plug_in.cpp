#include "core/parallel/plug_in.h"

#include <dlfcn.h>

#include <string>

#include "modules_registry/error.h"

namespace mformer {

namespace fs = std::filesystem;

std::unique_ptr<Transport> open_transport(const fs::path& plug_in) {
  std::error_code error;
  if (!fs::exists(plug_in, error)) {
    throw Error("a launcher started several processes, and this mformer was built without MPI",
                "run it without mpirun or srun; or build it where MPI's headers are (docs/parallel.md)");
  }
  // Global: MPI loads parts of itself, which look for its names.
  void* library = dlopen(plug_in.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* open = library == nullptr ? nullptr : dlsym(library, kOpenTransport);
  if (open == nullptr) {
    const char* why = dlerror();
    throw Error("'" + plug_in.string() + "' can't be loaded: " + (why == nullptr ? "no reason given" : why),
                "install the MPI that mformer was built with (docs/parallel.md), or run it without mpirun or srun");
  }
  return std::unique_ptr<Transport>(reinterpret_cast<OpenTransport>(open)());
}

}  // namespace mformer
