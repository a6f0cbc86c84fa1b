// How a loop over a model is compiled: once for every vector width, the widest the machine has being chosen
// at start.
//
// Without contraction to fused multiply-add (-ffp-contract=off) every element is rounded the same in all of
// them.
#pragma once

#include <cstdlib>  // __GLIBC__

// The choice at start is an ELF indirect function, hence glibc on x86-64 and GCC; arm64 needs none, its
// vectors being part of the baseline. Sanitizers are not set up yet when the choice runs, so their builds
// take the baseline.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FL_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FL_VECTORIZED
#endif

// Before a loop whose iterations touch only their own index: arrays may be the same, but do not overlap
// otherwise.
#if defined(__clang__)
#define FL_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FL_ELEMENTWISE _Pragma("GCC ivdep")
#else
#define FL_ELEMENTWISE
#endif
