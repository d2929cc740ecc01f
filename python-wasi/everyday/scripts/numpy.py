import numpy as np


def handler(event, context):
    a = np.arange(12, dtype=np.float64).reshape(3, 4)
    return [(a @ a.T).tolist(), np.linalg.det(np.array([[2.0, 1], [1, 3]])).round(6), a.mean(axis=0).tolist(), np.fft.fft([1, 0, 0, 0]).real.tolist()]
