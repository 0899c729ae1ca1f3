# Debian packages; recipes/setup.sh installs them. docs/dependencies.md says what each is for.
find_package(Threads REQUIRED)
find_package(SQLite3 3.37 REQUIRED) # STRICT tables
find_package(SQLiteCpp 3.2 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB 1.2.11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ONIGURUMA REQUIRED IMPORTED_TARGET oniguruma>=6.9.8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
# cli/serving overrides how a connection is read, which is no interface that other versions keep.
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib=0.11.4)
if(MFORMER_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
