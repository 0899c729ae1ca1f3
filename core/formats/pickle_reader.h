#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mformer::pickle {

/// The instructions that are followed, by the names of Python's pickletools.
enum Opcode : unsigned char {
  PROTO = 0x80,
  EMPTY_DICT = '}',
  EMPTY_TUPLE = ')',
  MARK = '(',
  TUPLE = 't',
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  LONG1 = 0x8A,
  BINUNICODE = 'X',
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  BINGET = 'h',
  LONG_BINGET = 'j',
  SETITEM = 's',
  SETITEMS = 'u',
  GLOBAL = 'c',
  REDUCE = 'R',
  BUILD = 'b',
  BINPERSID = 'Q',
  STOP = '.'
};

/// The bytes of a pickled state dict's program, one after the other. Both texts outlive it.
class Reader {
 public:
  Reader(std::string_view program, const std::string& source) : program_(program), source_(source) {}

  /// Throws the Error for a program that is not followed, with what to do instead.
  [[noreturn]] void refuse(const std::string& why) const;

 protected:
  // Each refuses a program that ends before.
  std::string_view take(std::size_t count);
  std::string_view line();                           ///< Up to a line feed, which is skipped.
  std::uint32_t unsigned_number(std::size_t bytes);  ///< Little-endian, of at most 4 bytes.
  std::int64_t long_number();  ///< Two's complement of so many bytes as the first one says, at most 8.

 private:
  std::string_view program_;
  const std::string& source_;
  std::size_t at_ = 0;
};

}  // namespace mformer::pickle
