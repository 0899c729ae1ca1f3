#include "cli/plot/png.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>

#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr const char* rsvg_program = "rsvg-convert";
constexpr double most_side = 32767, most_pixels = 1e8;  // what the library can draw, and 400 MB while it does
constexpr std::size_t header_bytes = 33;                // of every PNG: signature and the chunk IHDR
constexpr std::string_view png_signature = "\x89PNG\r\n\x1a\n";
using namespace std::string_view_literals;
constexpr std::string_view our_words = "tEXtSoftware\0mformer plot"sv;  // type and data of a chunk

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xFFU);
  return bytes;
}

/// As ISO 3309 has it, which PNG takes over.
std::uint32_t crc_of(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

/// By this chunk we know our pictures again.
std::string our_chunk() {
  constexpr std::size_t type_bytes = 4;
  return big_endian(our_words.size() - type_bytes) + std::string(our_words) + big_endian(crc_of(our_words));
}

/// The ends of a pipe, closed with it.
struct DrawingPipe {
  int in = -1, out = -1;
  DrawingPipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(std::string("can't make a pipe: ") + std::strerror(errno));
    out = ends[0], in = ends[1];
  }
  DrawingPipe(const DrawingPipe&) = delete;
  DrawingPipe& operator=(const DrawingPipe&) = delete;
  ~DrawingPipe() { close_in(), close_out(); }
  void close_in() { close_one(in); }
  void close_out() { close_one(out); }

 private:
  static void close_one(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

pid_t start_drawing(const std::string& scale, const DrawingPipe& svg, const DrawingPipe& png) {
  std::array<std::string, 4> words = {rsvg_program, "--format=png", "--unlimited", "--zoom=" + scale};
  std::array<char*, 5> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, svg.out, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, png.in, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int code = ::posix_spawnp(&child, rsvg_program, &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code == 0) return child;
  throw Error(std::string("PNG needs the program ") + rsvg_program + ", which can't be started: " + std::strerror(code),
              "install it (Debian: librsvg2-bin), or write an SVG: --out FILE.svg");
}

/// What does not take all of it has failed, and says so by its exit code.
void write_to(int end, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(end, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string read_all(int end) {
  std::string bytes;
  std::array<char, 1 << 16> piece{};
  while (true) {
    const ssize_t count = ::read(end, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.append(piece.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string png_of(const PlotPicture& picture, double scale) {
  const double width = std::ceil(picture.width * scale), height = std::ceil(picture.height * scale);
  if (width > most_side || height > most_side || width * height > most_pixels) {
    throw UsageError("a PNG of " + std::to_string(std::llround(width)) + " x " + std::to_string(std::llround(height)) +
                         " pixels is too large",
                     "a smaller --scale, or an SVG, which has no pixels: --out FILE.svg");
  }
  DrawingPipe svg, png;
  const pid_t child = start_drawing(tick_text(scale), svg, png);
  svg.close_out(), png.close_in();
  write_to(svg.in, picture.svg);  // it reads the whole before it writes
  svg.close_in();
  std::string bytes = read_all(png.out);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0 || bytes.size() < header_bytes || !bytes.starts_with(png_signature)) {
    throw Error(std::string(rsvg_program) + " could not draw the picture",
                "is it librsvg's, 2.52 or newer? An SVG needs no such program: --out FILE.svg");
  }
  return bytes.insert(header_bytes, our_chunk());
}

bool is_png_of_ours(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string chunk = our_chunk();
  std::string beginning(header_bytes + chunk.size(), '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return beginning.starts_with(png_signature) && beginning.ends_with(chunk);
}

}  // namespace mformer::cli
