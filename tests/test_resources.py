from common.resources import fits


def test_how_often_a_demand_fits():
    assert fits({"CPU": 0.1, "GPU": 1, "memory": 0}, {"CPU": 0.3, "other": 5}) == {"CPU": 3, "GPU": 0}
    assert fits({"CPU": 2}, {"CPU": 7}) == {"CPU": 3}
