# Read by CMake inside llama.cpp (Makefile, CMAKE_ARGS): llama-cpp-python forces this library on, and nothing here uses it.
set(LLAMA_BUILD_COMMON OFF)
