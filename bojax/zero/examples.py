"""Programs written by hand: what a search may find, and what it is measured against."""

from bojax.zero.program import Memory, Program


def linear_regressor(learning_rate: float | int = 0.01) -> Program:
    """Linear regression by stochastic gradient descent.

    Example:
        >>> print(linear_regressor())
        def Setup():
          s2 = 0.01
        def Predict():
          s1 = dot(v0, v1)
        def Learn():
          s3 = s0 - s1
          s3 = s2 * s3
          v2 = s3 * v0
          v1 = v1 + v2
    """
    return Program.parse(
        f"""
        def Setup():
          s2 = {learning_rate!r}
        def Predict():
          s1 = dot(v0, v1)
        def Learn():
          s3 = s0 - s1
          s3 = s2 * s3
          v2 = s3 * v0
          v1 = v1 + v2
        """,
        Memory(4, 3, 1),
    )


def affine_regressor(learning_rate: float | int = 0.01) -> Program:
    """Linear regression with an intercept by stochastic gradient descent.

    On classes, whose prediction is the sigmoid of s1, it is logistic regression.
    """
    return Program.parse(
        f"""
        def Setup():
          s2 = {learning_rate!r}
        def Predict():
          s1 = dot(v0, v1)
          s1 = s1 + s3
        def Learn():
          s4 = s0 - s1
          s4 = s2 * s4
          s3 = s3 + s4
          v2 = s4 * v0
          v1 = v1 + v2
        """,
        Memory(5, 3, 1),
    )


def neural_network(
    learning_rate: float | int = 0.01,
    first_scale: float | int = 0.1,
    final_scale: float | int = 0.1,
) -> Program:
    """A network of one hidden layer of rectified units, by backpropagation.

    It is the published code's, in which the weights of the last layer are updated
    before the error is propagated through them.
    """
    return Program.parse(
        f"""
        def Setup():
          v2 = gaussian(0.0, {final_scale!r})
          m0 = gaussian(0.0, {first_scale!r})
          s3 = {learning_rate!r}
        def Predict():
          v3 = dot(m0, v0)
          v3 = v3 + v1
          v4 = maximum(v3, v5)
          s1 = dot(v4, v2)
          s1 = s1 + s2
        def Learn():
          s4 = s0 - s1
          s4 = s3 * s4
          s2 = s2 + s4
          v6 = s4 * v4
          v2 = v2 + v6
          v7 = s4 * v2
          v8 = heaviside(v3)
          v7 = v8 * v7
          v1 = v1 + v7
          m1 = outer(v7, v0)
          m0 = m0 + m1
        """,
        Memory(5, 9, 2),
    )


def softmax_regressor(learning_rate: float | int = 0.1) -> Program:
    """Multinomial logistic regression: v1 is the label, v2 the prediction."""
    return Program.parse(
        f"""
        def Setup():
          s2 = {learning_rate!r}
        def Predict():
          v2 = dot(m0, v0)
          v2 = v2 + v3
        def Learn():
          v4 = v1 - v2
          v4 = s2 * v4
          v3 = v3 + v4
          m1 = outer(v4, v0)
          m0 = m0 + m1
        """,
        Memory(3, 5, 2),
    )
