#pragma once

#include <string>

namespace mformer::cli {

/// Of standard input, output and error, puts something in the place of each that is closed which can be neither read
/// nor written. Without it the next file to be opened gets the number, and a database would be read as input or written
/// to as output. Call once, first thing in main.
void hold_closed_streams();

/// All of standard input. Throws Error where it is closed, a folder, or can't be read to its end, StoppedError if a
/// signal comes meanwhile.
std::string read_standard_input();

}  // namespace mformer::cli
