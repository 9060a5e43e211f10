/* Stores that go past the caches, for results far larger than those: a line that is written whole
 * is then not read before. EVR_STREAMS tells whether the instruction set has them. p is aligned to
 * a vector; after the last, and before another thread is told, comes evr_stream_end. */
#ifndef EVR_SIMD_STREAM_H
#define EVR_SIMD_STREAM_H

#include "simd/simd.h"

#if defined(EVR_SIMD_AVX512) || defined(EVR_SIMD_AVX2)
#define EVR_STREAMS 1
#else
#define EVR_STREAMS 0
#endif

/* Results of this many bytes are not in the caches any more when they are read next, and so need
 * not go through them. */
#define EVR_PAST_CACHES ((int64_t)16 << 20)

EVR_INLINE void vf_stream(float *p, vf a) {
#if defined(EVR_SIMD_AVX512)
  _mm512_stream_ps(p, a);
#elif defined(EVR_SIMD_AVX2)
  _mm256_stream_ps(p, a);
#else
  vf_store(p, a);
#endif
}

EVR_INLINE void evr_stream_end(void) {
#if EVR_STREAMS
  _mm_sfence();
#endif
}

#endif
