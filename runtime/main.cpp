#include "runtime/program.hpp"

int main(int argc, char** argv) {
  return fl::run_program(argc, argv);
}
