#pragma once

#include <c10/util/Exception.h>

#include <string>

namespace mformer::testing {

/// What a kernel says when it refuses to do `f`.
template <typename F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "nothing was refused";
}

}  // namespace mformer::testing
