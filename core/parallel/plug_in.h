#pragma once

#include <filesystem>
#include <memory>

#include "core/parallel/transport.h"

namespace mformer {

/// The one function that a plug-in has, by this name: joins the processes that the launcher started. The caller owns
/// what it returns. Throws Error.
using OpenTransport = Transport* (*)();
inline constexpr const char* kOpenTransport = "mformer_open_transport";

/// Loads a plug-in (libexec/mformer/mformer-mpi.so) for the rest of the process and joins the others. Throws Error with
/// a hint where it is missing, or can't be loaded.
std::unique_ptr<Transport> open_transport(const std::filesystem::path& plug_in);

}  // namespace mformer
