#include "cli/serving/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

namespace mformer::cli {
namespace {

/// Headers that a request may bring to the server; the others mean nothing to it.
constexpr std::array<std::string_view, 8> known_headers = {
    "host", "content-type", "content-length", "transfer-encoding", "connection", "authorization", "expect", "origin"};

/// How often a wait looks whether the server stops.
constexpr std::chrono::milliseconds kLook{100};

std::string lower(std::string_view text) {
  std::string low(text);
  for (char& c : low) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return low;
}

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
  return line;
}

}  // namespace

Connection::Connection(int socket, const WebLimits& limits, const std::atomic<bool>& stopping,
                       const std::atomic<bool>& closed)
    : socket_(socket), limits_(limits), stopping_(stopping), closed_(closed) {}

Connection*& Connection::current() {
  thread_local Connection* connection = nullptr;
  return connection;
}

bool Connection::wait(short events, Clock::time_point limit) const {
  while (!closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    if (left.count() <= 0) return false;
    pollfd one{socket_, events, 0};
    const int ready = poll(&one, 1, static_cast<int>(std::min(left, kLook).count()) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

ssize_t Connection::receive(char* to, std::size_t size, Clock::time_point limit) const {
  if (!wait(POLLIN, limit)) return -1;
  return recv(socket_, to, size, 0);
}

bool Connection::gone() const {
  pollfd one{socket_, POLLRDHUP, 0};
  return poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/// Reads until a head is whole; `end` is then where it ends in surplus_.
bool Connection::fill(std::size_t& end, HeadProblem& problem) {
  auto limit = Clock::now() + (surplus_.empty() ? std::chrono::seconds(limits_.idle) : limits_.header);
  bool begun = !surplus_.empty();
  std::array<char, 4096> piece{};
  while ((end = surplus_.find("\r\n\r\n")) == std::string::npos) {
    if (surplus_.size() > limits_.header_bytes) {
      problem = {431, "the request's head is longer than " + std::to_string(limits_.header_bytes) + " bytes"};
      return true;
    }
    if (!begun && stopping_) return false;
    const auto until = begun ? limit : std::min(limit, Clock::now() + kLook);
    if (!wait(POLLIN, until)) {
      if (Clock::now() < limit) continue;
      if (!begun) return false;
      problem = {408, "the request's head did not come within " + std::to_string(limits_.header.count()) + " seconds"};
      return true;
    }
    const ssize_t got = recv(socket_, piece.data(), piece.size(), 0);
    if (got <= 0) return false;
    surplus_.append(piece.data(), static_cast<std::size_t>(got));
    if (!std::exchange(begun, true)) limit = Clock::now() + limits_.header;
  }
  end += 4;
  return true;
}

bool Connection::read_head(HeadProblem& problem) {
  std::size_t end = 0;
  if (!fill(end, problem)) return false;
  if (problem.status != 0) return true;
  const std::string head = surplus_.substr(0, end);
  surplus_.erase(0, end);
  body_left_ = body_read_ = given_ = 0, chunked_ = false, body_problem_ = 0;
  body_limit_ = Clock::now() + limits_.body;
  problem =
      head.size() > limits_.header_bytes
          ? HeadProblem{431, "the request's head is longer than " + std::to_string(limits_.header_bytes) + " bytes"}
          : look_at_head(head);
  return true;
}

HeadProblem Connection::look_at_head(const std::string& head) {
  std::string_view rest = head;
  const std::string_view request = next_line(rest);
  if (request.size() > 2048) return {414, "the request's address is too long"};
  head_ = std::string(request) + "\r\n";
  bool has_length = false;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line.find('\0') != std::string_view::npos ||
        line.front() == ' ' || line.front() == '\t') {
      return {400, "a header of the request is none"};
    }
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = without_spaces(line.substr(colon + 1));
    if (name == "content-encoding" && lower(value) != "identity") {
      return {415, "the body is compressed, which is not supported"};
    }
    if (name == "content-length") {
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), body_left_);
      const bool number = error == std::errc() && stop == value.data() + value.size() && !value.empty();
      if (!number || std::exchange(has_length, true)) return {400, "the request's Content-Length is no number"};
    }
    if (name == "transfer-encoding") {
      if (lower(value) != "chunked") return {501, "only the transfer encoding chunked is known"};
      chunked_ = true;
    }
    if (std::find(known_headers.begin(), known_headers.end(), name) == known_headers.end()) continue;
    head_ += name + ": " + std::string(value) + "\r\n";
  }
  head_ += "\r\n";
  if (chunked_ && has_length) return {400, "the request has both a Content-Length and a transfer encoding"};
  if (body_left_ > limits_.body_bytes) {
    return {413, "the request's body is longer than " + std::to_string(limits_.body_bytes) + " bytes"};
  }
  return {};
}

bool Connection::is_readable() const {
  return given_ < head_.size() || !surplus_.empty() || wait(POLLIN, body_limit_);
}

bool Connection::is_writable() const {
  return wait(POLLOUT, Clock::now() + limits_.write);
}

ssize_t Connection::read(char* to, std::size_t size) {
  if (given_ < head_.size()) {
    const std::size_t some = std::min(size, head_.size() - given_);
    std::copy_n(head_.data() + given_, some, to);
    given_ += some;
    return static_cast<ssize_t>(some);
  }
  if (!chunked_) size = std::min(size, body_left_);
  if (body_read_ > limits_.body_bytes) body_problem_ = 413;
  if (size == 0 || body_problem_ != 0) return 0;
  ssize_t got = 0;
  if (!surplus_.empty()) {
    got = static_cast<ssize_t>(std::min(size, surplus_.size()));
    std::copy_n(surplus_.data(), got, to);
    surplus_.erase(0, static_cast<std::size_t>(got));
  } else {
    got = receive(to, size, body_limit_);
    if (Clock::now() >= body_limit_) body_problem_ = 408;
  }
  if (got <= 0) return got;
  body_read_ += static_cast<std::size_t>(got);
  if (!chunked_) body_left_ -= static_cast<std::size_t>(got);
  return got;
}

ssize_t Connection::write(const char* from, std::size_t size) {
  const auto limit = Clock::now() + limits_.write;
  std::size_t done = 0;
  while (done < size) {
    if (!wait(POLLOUT, limit)) return -1;
    const ssize_t some = send(socket_, from + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (some < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (some < 0) return -1;
    done += static_cast<std::size_t>(some);
  }
  return static_cast<ssize_t>(size);
}

void Connection::refuse(int status, const std::string& body) {
  const std::string later = status == 503 ? "Retry-After: 1\r\n" : "";
  const std::string all = "HTTP/1.1 " + std::to_string(status) +
                          " Refused\r\nContent-Type: application/json\r\nConnection: close\r\n" + later +
                          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  write(all.data(), all.size());
}

void Connection::linger() {
  shutdown(socket_, SHUT_WR);
  const auto limit = Clock::now() + std::chrono::seconds(1);
  std::array<char, 16384> unread{};
  std::size_t most = 4 * limits_.body_bytes;
  while (const ssize_t got = receive(unread.data(), unread.size(), limit)) {
    if (got < 0 || static_cast<std::size_t>(got) > most) return;
    most -= static_cast<std::size_t>(got);
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear(), port = 0;  // nobody asks
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear(), port = 0;
}

}  // namespace mformer::cli
