// The deconvolution's arithmetic: two rows of features times a column of kernel rows, as the product of two polynomials in the row number
// (Toom, Cook). Included by strip.h.
//
// Rows a, b of a feature and kernel rows p, q, r make the output rows h0 = a·p, h1 = a·q + b·p, h2 = a·r + b·q, h3 = b·r: the
// coefficients of (a + b·t)·(p + q·t + r·t²). Its values at t = 0, 1, -1 and its leading coefficient ("at infinity") cost 4 products
// instead of 6, since a + b and p + q + r are summed before they are multiplied, and the kernel's sums were made once. With a = 2, b = 3,
// p, q, r = 1, 4, 5 the values are 2·1 = 2, 5·10 = 50, -1·2 = -2, and 3·5 = 15. Then even = 50 - 2 = 48 = 2(h0 + h2), so
// h2 = 24 - 2 = 22 = 2·5 + 3·4; odd = 50 + 2 = 52 = 2(h1 + h3), so h1 = 26 - 15 = 11 = 2·4 + 3·1.
//
// Five kernel rows take the values at 2 and at ½ (times 2^5) as well. With 1, 4, 5, 0, 2 and the same a, b, h is 2, 11, 22, 15, 4, 6; the
// values are 2, 5·12 = 60, -1·4 = -4, 8·61 = 488, 7·70 = 490 and 6. ones = 60 - 8 = 52 = (11 + 4) + (22 + 15); both = 488 + 490 - 33·8 =
// 714 = 18·15 + 12·37, so outer = (714 - 12·52) / 6 = 15 = 11 + 4; gap = 490 - 488 - 31·(2 - 6) = 126 = 14·(11 - 4) + 4·(22 - 15), so
// outer_gap = (126 - 4·0) / 18 = 7 = 11 - 4, and h1 = (15 + 7) / 2.

// The value of first + second·t at a point: t = 1, -1, 2; at ½ twice that, which is whole.
template <class A, int POINT>
void evaluate(const Lane* first, const Lane* second, Lane* out, int64_t lanes) {
    for (int64_t x = 0; x < lanes; x += N) {
        auto a = A::load(first + x), b = A::load(second + x);
        if constexpr (POINT == AT_2) b = A::feature_add(b, b);
        if constexpr (POINT == AT_HALF) a = A::feature_add(a, a);
        A::store(out + x, POINT == AT_MINUS_1 ? A::feature_subtract(a, b) : A::feature_add(a, b));
    }
}

// From the values of a polynomial of degree ROWS at 0, 1, -1, 2, ½ (as many as it needs) and its leading coefficient ("at
// infinity") to its coefficients h. Every step holds for whole numbers modulo 2^32 too, as long as what is halved fits in 32 bits.
template <class A, int ROWS>
void interpolate(const Lane* const product[POINTS], Lane* const total[6], int64_t lanes) {
    for (int64_t x = 0; x < lanes; x += N) {
        typename A::Vec h[ROWS + 1];
        h[0] = A::load(product[AT_0] + x);
        h[ROWS] = A::load(product[AT_INFINITY] + x);
        if constexpr (ROWS == 2) h[1] = A::subtract(A::subtract(A::load(product[AT_1] + x), h[0]), h[2]);
        if constexpr (ROWS >= 3) {
            const auto plus = A::load(product[AT_1] + x), minus = A::load(product[AT_MINUS_1] + x);
            [[maybe_unused]] const auto even = A::add(plus, minus), odd = A::subtract(plus, minus);  // 2(h0 + h2 + h4), 2(h1 + h3)
            if constexpr (ROWS == 3) {
                h[2] = A::template over<1>(A::subtract(even, A::template times<1>(h[0])));
                h[1] = A::template over<1>(A::subtract(odd, A::template times<1>(h[3])));
            } else if constexpr (ROWS == 4) {
                const auto two = A::load(product[AT_2] + x);
                h[2] = A::template over<1>(A::subtract(even, A::template times<1>(A::add(h[0], h[4]))));
                const auto known = A::add(h[0], A::template times<2>(A::add(h[2], A::template times<2>(h[4]))));
                const auto h3 = A::third(A::subtract(A::subtract(two, known), odd));  // 2·h3
                h[3] = A::template over<1>(h3);
                h[1] = A::template over<1>(A::subtract(odd, h3));
            } else {
                const auto sum_known = A::add(h[0], h[5]), gap_known = A::subtract(h[0], h[5]);
                const auto two = A::load(product[AT_2] + x), half = A::load(product[AT_HALF] + x);
                const auto ones = A::subtract(plus, sum_known);                       // (h1 + h4) + (h2 + h3)
                const auto signs = A::subtract(minus, gap_known);                     // (h2 - h3) - (h1 - h4)
                const auto known = A::add(A::template times<5>(sum_known), sum_known);  // 33(h0 + h5)
                const auto both = A::subtract(A::add(two, half), known);              // 18(h1 + h4) + 12(h2 + h3)
                const auto gap = A::subtract(A::subtract(half, two), A::subtract(A::template times<5>(gap_known), gap_known));
                const auto twelve = A::add(A::template times<3>(ones), A::template times<2>(ones));
                const auto outer = A::template over<1>(A::third(A::subtract(both, twelve)));            // h1 + h4
                const auto outer_gap = A::template over<1>(A::third(A::third(A::subtract(gap, A::template times<2>(signs)))));
                const auto inner = A::subtract(ones, outer), inner_gap = A::add(signs, outer_gap);
                h[1] = A::template over<1>(A::add(outer, outer_gap));
                h[4] = A::template over<1>(A::subtract(outer, outer_gap));
                h[2] = A::template over<1>(A::add(inner, inner_gap));
                h[3] = A::template over<1>(A::subtract(inner, inner_gap));
            }
        }
        UNROLL for (int k = 0; k <= ROWS; k++) A::store(total[k] + x, A::add(A::load(total[k] + x), h[k]));
    }
}
