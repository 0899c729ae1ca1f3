#pragma once

#include <cstdint>

// LibTorch exports the Fortran BLAS it was linked with; its own C++ wrapper of it is not exported.
extern "C" {
void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k, const float* alpha,
            const float* a, const int* lda, const float* b, const int* ldb, const float* beta, float* c,
            const int* ldc);
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k, const double* alpha,
            const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
            const int* ldc);
}

namespace mformer::kernels::cpu {

/// A matrix in memory: `data` row-major with `stride` elements from row to row, read transposed if `transposed`.
template <typename Real>
struct Matrix {
  const Real* data;
  int64_t stride;
  bool transposed = false;
};

inline void call_gemm(const char* ta, const char* tb, const int* m, const int* n, const int* k, const float* alpha,
                      const float* a, const int* lda, const float* b, const int* ldb, const float* beta, float* c,
                      const int* ldc) {
  sgemm_(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
inline void call_gemm(const char* ta, const char* tb, const int* m, const int* n, const int* k, const double* alpha,
                      const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
                      const int* ldc) {
  dgemm_(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/// c [m, n] = scale · a [m, k] · b [k, n] + keep · c, all row-major. On one thread when called inside a parallel
/// region.
template <typename Real>
void multiply(int64_t m, int64_t n, int64_t k, Real scale, const Matrix<Real>& a, const Matrix<Real>& b, Real keep,
              Real* c, int64_t c_stride) {
  // Row-major c = a·b is column-major cᵀ = bᵀ·aᵀ.
  const int rows = static_cast<int>(n), columns = static_cast<int>(m), inner = static_cast<int>(k);
  const int ldb = static_cast<int>(b.stride), lda = static_cast<int>(a.stride), ldc = static_cast<int>(c_stride);
  const char op_b = b.transposed ? 'T' : 'N', op_a = a.transposed ? 'T' : 'N';
  call_gemm(&op_b, &op_a, &rows, &columns, &inner, &scale, b.data, &ldb, a.data, &lda, &keep, c, &ldc);
}

}  // namespace mformer::kernels::cpu
