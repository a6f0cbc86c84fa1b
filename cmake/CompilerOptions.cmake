# Settings that every target of ours shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

# RelWithDebInfo: line tables only, so that stack traces stay readable and objects stay small. Loops over whole models are
# compiled with -O3 where they are (learning/CMakeLists.txt).
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
# Sanitizer builds: -O1 keeps them usable.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

add_library(fl_options INTERFACE)
target_include_directories(fl_options INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR};${PROJECT_BINARY_DIR}/generated>"
                                                "$<INSTALL_INTERFACE:include/fl_actor>")
target_compile_features(fl_options INTERFACE cxx_std_20)
# Ours, not those of programs that use an installed fl_actor.
set(fl_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror -ffp-contract=off)
# GCC 12 sees overlapping copies in std::string's operator+ that are not there (GCC bug 105651).
list(APPEND fl_warnings $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_compile_options(fl_options INTERFACE "$<BUILD_INTERFACE:${fl_warnings}>")
target_compile_definitions(fl_options INTERFACE "$<BUILD_INTERFACE:FL_VERSION=\"${PROJECT_VERSION}\">")
if(FL_SANITIZE)
  target_compile_options(fl_options INTERFACE -fsanitize=${FL_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  # GCC 12 warns of uninitialised memory in std::regex, which is not there, when sanitizers are on.
  target_compile_options(fl_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  # Clang says so when the sanitizers keep it from vectorising a loop that asks for it.
  target_compile_options(fl_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
  if(FL_SANITIZE MATCHES "undefined")
    # CAF 0.17.6 binds a reference to a null tuple when a function without arguments is spawned; the address sanitizer still
    # finds every access through null. Clang can leave out CAF's headers alone.
    set(fl_ignorelist "${PROJECT_SOURCE_DIR}/cmake/sanitizer_ignorelist.txt")
    target_compile_options(fl_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fno-sanitize=null>
                                                $<$<CXX_COMPILER_ID:Clang>:-fsanitize-ignorelist=${fl_ignorelist}>)
  endif()
  target_link_options(fl_options INTERFACE -fsanitize=${FL_SANITIZE})
endif()
# The libraries tell a fuzzer which branches they took; the fuzzer itself is linked to the targets in tests/fuzz only, so
# the same build serves the tests.
if(FL_FUZZ)
  target_compile_options(fl_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# With sanitizers, what instantiates CAF's templates takes twice as long to compile with -O1, and does not run long.
function(fl_compile_quickly target)
  if(FL_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

# fl_add_library(NAME [TORCH_FREE sources are found by folder]): a static library of every .cpp in the current folder and
# in the SUBFOLDERS given.
function(fl_add_library name)
  cmake_parse_arguments(ARG "" "" "SUBFOLDERS" ${ARGN})
  set(patterns "*.cpp")
  foreach(folder IN LISTS ARG_SUBFOLDERS)
    list(APPEND patterns "${folder}/*.cpp")
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC fl_options)
  # CAF's templates are then instantiated once for so many files, which takes a third of the time.
  set_target_properties(${name} PROPERTIES UNITY_BUILD "${FL_UNITY}" UNITY_BUILD_BATCH_SIZE 12)
endfunction()
