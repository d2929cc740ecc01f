import django
from django.conf import settings
from django.http import JsonResponse
from django.test import RequestFactory
from django.urls import path


def hello(request, name):
    return JsonResponse({"hello": name, "q": request.GET.get("q")})


urlpatterns = [path("hello/<str:name>/", hello)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k", INSTALLED_APPS=[], TEMPLATES=[
    {"BACKEND": "django.template.backends.django.DjangoTemplates"}])
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.template import engines  # noqa: E402

app = WSGIHandler()


def handler(event, context):
    answer = app.get_response(RequestFactory().get("/hello/анна/?q=1"))
    missing = app.get_response(RequestFactory().get("/nowhere/"))
    page = engines["django"].from_string("{% for n in names %}{{ n|upper }} {% endfor %}").render({"names": ["а", "<b>"]})
    return [answer.status_code, answer.content.decode(), missing.status_code, page]
